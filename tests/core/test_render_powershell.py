# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan -> a script for PowerShell: what must not stand in it, and what comes of it on the way."""

from __future__ import annotations

import base64
import gzip
import re
from pathlib import Path

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents import powershell
from ansible_collections.standalone.python.plugins.plugin_utils.core.agents.sh import Delivery, Pulled, Pushed
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import DeclarationError
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import declare
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.observed import RegistryEntry
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.step import (
    Install,
    Plan,
    Register,
    Remove,
    SetLink,
    SetSearchPath,
    Step,
    Unlink,
    Unregister,
)
from tests.tools.planning import build_of

ENVIRONMENT = {"HTTPS_PROXY": "http://me:pr0xy-word@proxy.example", "Ähnlich 'so'": "a\nb \u2018c\u2019"}


AGENTS = Path(str(powershell.__file__)).with_name("on_host")
BUILD = build_of("cpython-3.13.1+20250115-x86_64-pc-windows-msvc-install_only")
PUSHED = Pushed("C:/x.tar.gz", "ab", "gz", 1, "", "ab")
PULLED = Pulled(("https://me:url-word@example.org/a",), "gz", "python", "https://example.org/a", "f" * 64, "t0ken")


def script_of(**given: str) -> str:
    desired = declare({"builds": [], "delivery": "pull"}, windows=True)
    return powershell.application(desired, Plan((Install(BUILD, "install", ""),), ()), {BUILD.name: PULLED}, given)


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


@pytest.mark.parametrize(
    ("steps", "delivery"),
    [
        ((Install(BUILD, "install", ""),), PUSHED),
        ((Install(BUILD, "install", ""),), PULLED),
        ((SetLink("C:/x/cpython-3.13", "cpython-x"), SetLink("C:/x/bin/python.cmd", "C:/x/cpython-3.13/python.exe")), None),
        ((Unlink("C:/x/cpython-3.13", "cpython-x"), Remove("cpython-x", "")), None),
        ((Register("3.13", RegistryEntry("3.13.1", "64bit", "C:/x/python.exe")),), None),
        ((Unregister("3.13", "3.13.1 64bit C:/x/python.exe"),), None),
        ((SetSearchPath("C:/x/bin", True),), None),
    ],
    ids=["push", "pull", "link", "remove", "register", "unregister", "path"],
)
def test_a_script_has_every_function_that_it_calls(steps: tuple[Step, ...], delivery: Delivery | None) -> None:
    """Files of the agent are sent only where a plan needs them."""
    known = set(re.findall(r"^function ([\w-]+)", "".join(path.read_text() for path in AGENTS.glob("*.ps1")), re.M))
    deliveries = {BUILD.name: delivery} if delivery else {}
    script = powershell.application(declare({"builds": []}, windows=True), Plan(steps, ()), deliveries)
    called = set(re.findall(rf"(?<![\w-])(?:{'|'.join(known)})(?![\w-])", script))
    assert called - set(re.findall(r"^function ([\w-]+)", script, re.M)) == {"Write-Facts"}, "called only if $facts isn't no"
    assert len(called) > 50


def test_what_a_plan_does_not_need_is_not_sent() -> None:
    script = powershell.application(declare({"builds": []}, windows=True), Plan((Remove("cpython-x", ""),), ()), {})
    for name in ("Start-Build", "Expand-Here", "Save-Url", "Register-Line"):
        assert name not in script
