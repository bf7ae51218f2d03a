# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A declaration's file -> its options, or the sentence that says what is wrong with it and where. No command is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import DeclarationError
from standalone_python.declarations import load, read
from tests.tools.bad_files import BAD_FILES


@pytest.mark.parametrize(("text", "sentence"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_file_that_can_not_be_used(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "python.yml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(DeclarationError) as caught:
        load(str(file)).declare()
    assert sentence in str(caught.value).replace(str(file), "FILE")


def test_a_key_below_another_key_is_found(tmp_path: Path) -> None:
    """The file is of pyinfra data; another part may have tags and templates, and keys may be merged."""
    file = tmp_path / "data.yml"
    text = (
        "secret: !vault x\ncommon: &common {keep: 0, root: '{{ x }}'}\npython:\n  <<: *common\n  root: /srv\n  builds: ['3.13']\n"
    )
    file.write_text(text)
    assert read(str(file), "python") == {"builds": ["3.13"], "keep": 0, "root": "/srv"}
    file.write_text(f"{text}  lnks: []\n")
    with pytest.raises(DeclarationError, match=r"^unknown option `lnks`: did you mean `links`\? \(.*data.yml, line 7\)$"):
        load(str(file), "python").declare()
    with pytest.raises(DeclarationError, match=r"^.*data.yml has no key `pyton`: did you mean `python`\?$"):
        load(str(file), "pyton")


def test_the_file_is_not_blamed_for_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "python.yml"
    file.write_text("builds: []\nroot: /srv\nverify: ful\n")
    with pytest.raises(DeclarationError, match="^root is 'x': give an absolute path below /, or one that begins with ~/$"):
        load(str(file)).declare(given={"root": "x", "verify": "full"})
