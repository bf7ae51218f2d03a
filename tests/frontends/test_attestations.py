# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option ``attestations`` in plays and deploys: what is required and missing doesn't come, what is preferred and missing is said.

What the command line does with the same option, tests/cli/test_attestations.py says.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.frontends.support import MODULE
from tests.tools.deploy import LOCAL, operation, run_deploy
from tests.tools.playbook import LOCALHOST, run_play
from tests.tools.sigstore import Sigstore
from tests.tools.sources import NEWER, V13LATER

# Whether it went well, and all that was said.
Did = tuple[bool, str]


def _play(declared: dict[str, Any], cache: Path) -> Did:
    run = run_play([{MODULE: declared}], LOCALHOST, environment={"STANDALONE_PYTHON_CACHE": str(cache)})
    warnings = run.of().result.get("warnings", [])
    return run.code == 0, " ".join([run.of().message, *warnings] if run.code else warnings)


def _deploy(declared: dict[str, Any], cache: Path) -> Did:
    run = run_deploy(operation(declared), LOCAL, environment={"STANDALONE_PYTHON_CACHE": str(cache)})
    return run.code == 0, " ".join(run.said("@local"))


@pytest.mark.parametrize("perform", [_play, _deploy], ids=["ansible", "pyinfra"])
def test_attestations(perform: Callable[[dict[str, Any], Path], Did], source: Path, tmp_path: Path) -> None:
    folder, beside = tmp_path / "source", tmp_path / "root/cpython-3.13/bin/python3"
    (folder / NEWER).mkdir(parents=True)
    for path in (source / NEWER).iterdir():
        (folder / NEWER / path.name).symlink_to(path)
    sigstore = Sigstore()
    sigstore.trusted_root(tmp_path / "trusted_root.json")
    declared = {
        "builds": ["3.13"],
        "source": str(folder),
        "root": str(tmp_path / "root"),
        "bin_dir": str(tmp_path / "bin"),
        "trusted_root": str(tmp_path / "trusted_root.json"),
    }
    went, said = perform(declared | {"attestations": "require"}, tmp_path / "cache")
    assert not went
    assert f"there is no attestation of cpython-{V13LATER}+{NEWER}" in said
    assert not beside.exists()
    (digest, name), *_others = (
        line.split() for line in (source / NEWER / "SHA256SUMS").read_text().splitlines() if V13LATER in line
    )
    attestation = folder / NEWER / f"{name}.sigstore.jsonl"
    attestation.write_text(sigstore.lines("b" * 64))
    went, said = perform(declared | {"attestations": "prefer"}, tmp_path / "cache")
    assert not went
    assert "is not upstream's: it is of the sha256 bbbb" in said
    assert not beside.exists()
    attestation.unlink()
    went, said = perform(declared | {"attestations": "prefer"}, tmp_path / "cache")
    assert went, said
    assert f"there is no attestation of cpython-{V13LATER}+{NEWER}" in said
    assert beside.exists()
    attestation.write_text(sigstore.lines(digest))
    other = declared | {"attestations": "require", "root": str(tmp_path / "other"), "bin_dir": str(tmp_path / "other-bin")}
    went, said = perform(other, tmp_path / "cache")
    assert went, said
    assert "attestation" not in said
    assert (tmp_path / "other/cpython-3.13/bin/python3").exists()
