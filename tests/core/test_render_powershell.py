# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan -> a script for PowerShell: what must not stand in it, and what comes of it on the way."""

from __future__ import annotations

import base64
import gzip

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents import powershell
from ansible_collections.standalone.python.plugins.plugin_utils.core.agents.sh import Pulled
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import DeclarationError
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import declare
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.step import Install, Plan
from tests.tools.planning import build_of

ENVIRONMENT = {"HTTPS_PROXY": "http://me:pr0xy-word@proxy.example", "Ähnlich 'so'": "a\nb \u2018c\u2019"}


def script_of(**given: str) -> str:
    build = build_of("cpython-3.13.1+20250115-x86_64-pc-windows-msvc-install_only")
    delivery = Pulled(("https://me:url-word@example.org/a",), "gz", "python", "https://example.org/a", "f" * 64, "t0ken")
    desired = declare({"builds": [], "delivery": "pull"}, windows=True)
    return powershell.application(desired, Plan((Install(build, "install", ""),), ()), {build.name: delivery}, given)


def test_secrets_are_beside_the_script() -> None:
    given, script = powershell.packed(script_of(**ENVIRONMENT)).splitlines()
    text = gzip.decompress(base64.b64decode(script)).decode()
    beside = base64.b64decode(given).decode()
    for secret in ("pr0xy-word", "url-word", "t0ken"):
        assert secret in beside
        assert secret not in text
        assert secret not in powershell.RUN


def test_no_line_that_a_connection_could_alter() -> None:
    packed = powershell.packed(script_of(**ENVIRONMENT))
    assert packed.isascii()
    assert packed.count(b"\n") == 2


def test_the_command_is_short() -> None:
    """Ansible doubles it as UTF-16 in base64, and Windows' shells end at 8,191 letters."""
    assert len(base64.b64encode(powershell.RUN.encode("utf-16-le"))) < 2000


@pytest.mark.parametrize("name", ["", "a=b", "a\0b"])
def test_a_name_that_no_environment_has(name: str) -> None:
    with pytest.raises(DeclarationError, match="the environment has the name"):
        script_of(**{name: "x"})


def test_quotes() -> None:
    """Typographic ones too, which PowerShell takes for its own."""
    desired = declare({"builds": [], "root": "C:\\it's \u2018a\u2019 \u201ab\u201b"}, windows=True)
    assert "$root = 'C:/it''s \u2018\u2018a\u2019\u2019 \u201a\u201ab\u201b\u201b'\n" in powershell.observation(
        desired, facts="no"
    )
