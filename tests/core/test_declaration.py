# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user writes -> a declaration, or the whole sentence that says what is wrong with it."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.request import FORMS, parse_request, with_parts
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import DeclarationError
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import (
    INFO_OPTIONS,
    OPTIONS,
    Desired,
    Wanted,
    declare,
    observing,
    parse_wanted,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.receipt import Finish

FOLDER = "give an absolute path below /, or one that begins with ~/"
MODE = "give octal digits in quotes such as '0755', for folders and executables, with rwx for the owner"
ACCOUNT = "give the name or the number of an account"
TRUTH = "give a truth value, true or false"
RELEASE = "a release of 8 digits such as 20250115"
KEYS = "version, variant, flavor, release, default, state"


def refused(options: dict[str, Any]) -> str:
    with pytest.raises(DeclarationError) as caught:
        declare(options)
    return str(caught.value)


def build(element: Any) -> Wanted:
    return declare({"builds": [element]}).builds[0]


def refused_build(element: Any) -> str:
    return refused({"builds": [element]})


def test_the_least_that_can_be_said() -> None:
    assert declare({"builds": ["3.13"]}) == Desired(builds=(Wanted(parse_request("3.13")),))
    # What the class gives by itself is what the options' table gives.
    assert declare({"builds": []}) == Desired(builds=())


def test_none_is_what_was_not_said() -> None:
    assert declare(dict.fromkeys(OPTIONS) | {"builds": ["3.13"]}) == declare({"builds": ["3.13"]})


def test_everything_said() -> None:
    assert declare(
        {
            "builds": [{"version": "3.13", "variant": "freethreaded", "default": True}, {"version": 3, "state": "absent"}],
            "state": "latest",
            "exclusive": True,
            "keep": 0,
            "root": "/srv/python",
            "bin_dir": "/srv/bin",
            "owner": "app",
            "group": "1000",
            "mode": "0750",
            "links": ["versioned"],
            "force": True,
            "delivery": "pull",
            "source": "https://mirror.example/pbs",
            "checksum": "ab",
            "token": "secret",
            "catalogue": "/srv/builds.tsv",
            "verify": "full",
            "externally_managed": False,
            "compile_bytecode": True,
            "patch_sysconfig": False,
            "certificates": "system",
            "lock_timeout": 0,
        }
    ) == Desired(
        builds=(
            Wanted(with_parts(parse_request("3.13"), variant="freethreaded"), "latest", True),
            Wanted(parse_request("3"), "absent"),
        ),
        exclusive=True,
        keep=0,
        root="/srv/python",
        bin_dir="/srv/bin",
        links=frozenset({"versioned"}),
        force=True,
        delivery="pull",
        source="https://mirror.example/pbs",
        checksum="ab",
        token="secret",
        catalogue="/srv/builds.tsv",
        verify="full",
        finish=Finish(
            externally_managed=False,
            compile_bytecode=True,
            patch_sysconfig=False,
            owner="app",
            group="1000",
            mode="0750",
            certificates="system",
        ),
        lock_timeout=0,
    )


def test_a_token_is_in_no_message() -> None:
    assert "secret" not in repr(declare({"builds": [], "token": "secret"}))


def test_info_only_observes() -> None:
    assert observing({"root": "~/python"}) == Desired(builds=(), root="~/python", bin_dir="~/python/bin")
    with pytest.raises(DeclarationError) as caught:
        observing({"builds": ["3.13"]})
    assert str(caught.value) == "unknown option `builds`: choose one of root, bin_dir, verify"
    assert set(INFO_OPTIONS) <= set(OPTIONS)


# Requests, as YAML gives them.


@pytest.mark.parametrize(
    ("written", "request_text"),
    [
        ("3.13", "3.13"),
        ("'3.13'", "3.13"),
        ("3", "3"),
        ("3.9", "3.9"),
        ("3.11", "3.11"),
        ("3.13.1", "3.13.1"),
        ("'>=3.12,<3.14'", ">=3.12,<3.14"),
        ("3.13t", "3.13t"),
        ("3.13.1+20250115", "3.13.1+20250115"),
        ("{version: 3.13}", "3.13"),
        ("{version: '3.13', release: 20250115}", "3.13+20250115"),
        ("{version: '3.13', variant: debug, flavor: full}", "3.13+debug+full"),
        ("{version: '3.13', variant: v3}", "3.13+v3"),
        ("{version: '3.13', variant: null, flavor: '', release: null, state: null, default: null}", "3.13"),
    ],
)
def test_requests_as_yaml_gives_them(written: str, request_text: str) -> None:
    assert build(yaml.safe_load(written)) == Wanted(parse_request(request_text))


@pytest.mark.parametrize("written", ["3.10", "{version: 3.10}"])
def test_the_yaml_trap(written: str) -> None:
    assert refused_build(yaml.safe_load(written)) == (
        "the version is the number 3.1, as YAML and Python read 3.10 without quotes: write '3.10' in quotes"
    )


@pytest.mark.parametrize(("number", "meant"), [(3.2, "3.20"), (3.6, "3.60")])
def test_the_yaml_trap_for_years_to_come(number: float, meant: str) -> None:
    assert f"write '{meant}' in quotes" in refused_build(number)


@pytest.mark.parametrize("number", [3.0, 3.7, 3.8, 3.9, 3.14])
def test_numbers_that_are_no_trap(number: float) -> None:
    assert build(number).request.version == str(number)


@pytest.mark.parametrize("element", [True, None, ["3.13"], b"3.13", object])
def test_no_request_at_all(element: Any) -> None:
    assert refused_build(element) == (
        f"{element!r} is not a valid request: write a text such as '3.13' or a mapping with version: '3.13'"
    )


@pytest.mark.parametrize(
    ("element", "sentence"),
    [
        ("", f"the request is empty: write a version such as {FORMS}"),
        ("latest", f"the request 'latest' can't be read, 'latest' is not a version: write one like {FORMS}"),
        (
            "pypy3.10",
            f"the request 'pypy3.10' asks for pypy, but there are builds of CPython only: write a version such as {FORMS}",
        ),
        (float("nan"), f"the request 'nan' can't be read, 'nan' is not a version: write one like {FORMS}"),
        ({}, "the build {} has no version: give one, such as version: '3.13'"),
        ({"version": None}, "the build {'version': None} has no version: give one, such as version: '3.13'"),
        (
            {"version": "3.13", "varient": "debug"},
            "unknown option `varient` of 3.13: did you mean `variant`?",
        ),
        (
            {"version": "3.13", "flavor": "stripped"},
            "unknown flavor `stripped` of 3.13: did you mean `install_only_stripped`?",
        ),
        ({"version": "3.13", "state": "gone"}, "unknown state `gone` of 3.13: choose one of present, latest, absent"),
        ({"version": "3.13", "default": "maybe"}, "default of 3.13 is 'maybe': give a truth value, true or false"),
        ({"version": "3.13", "default": 2}, "default of 3.13 is 2: give a truth value, true or false"),
        (
            {"version": "3.13", "default": True, "state": "absent"},
            "3.13 is declared both default and absent: choose one",
        ),
        (
            {"version": "3.13t", "variant": "debug"},
            "the request '3.13t' has the variant 'freethreaded', but the option variant is 'debug': remove one of them",
        ),
        (
            {"version": "3.13+20250115", "release": 2025},
            f"the option release: '2025' can't be read, '2025' is unknown: valid are {RELEASE}",
        ),
    ],
)
def test_what_is_wrong_with_a_build(element: Any, sentence: str) -> None:
    assert refused_build(element) == sentence


@pytest.mark.parametrize("said", [True, "true", "True", "yes", "on"])
def test_default(said: Any) -> None:
    assert build({"version": "3.13", "default": said}).default


@pytest.mark.parametrize("said", [False, "false", "No", "off", 0])
def test_no_default(said: Any) -> None:
    assert build({"version": "3.13", "default": said}).default is False


@pytest.mark.parametrize("element", ["3.13", {"version": "3.13"}, *({"version": "3.13", "default": said} for said in (None, ""))])
def test_a_default_of_which_nothing_is_said(element: Any) -> None:
    assert build(element).default is None


def test_a_default_where_everything_is_absent() -> None:
    options = {"builds": [{"version": "3.13", "default": True}], "state": "absent"}
    assert refused(options) == "3.13 is declared both default and absent: choose one"


def test_two_defaults() -> None:
    elements = [{"version": "3.12", "default": True}, {"version": "3.13", "default": True}]
    assert refused({"builds": elements}) == ("3.12 and 3.13 are all marked default: only one build can have python3 and python")


def test_said_twice_is_said_once() -> None:
    twice = declare({"builds": ["3.13", {"version": "3.13"}, {"version": "3.13", "state": "present"}, " 3.13 "]})
    assert twice.builds == (Wanted(parse_request("3.13")),)


def test_two_states_of_one_request() -> None:
    elements = ["3.13", {"version": "3.13", "state": "absent"}]
    assert refused({"builds": elements}) == "3.13 is declared both present and absent: choose one"


def test_one_build_alone_is_a_list_of_one() -> None:
    for alone in ("3.13", 3.13, {"version": "3.13"}):
        assert declare({"builds": alone}).builds == (Wanted(parse_request("3.13")),)
    assert declare({"builds": ">=3.12,<3.14"}).builds == (Wanted(parse_request(">=3.12,<3.14")),)


# Every other option.


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("builds", None, "builds is missing: give it"),
        ("state", "gone", "state is 'gone': choose one of present, latest, absent"),
        ("exclusive", "perhaps", f"exclusive is 'perhaps': {TRUTH}"),
        ("keep", -1, "keep is -1: give the number of replaced builds that stay, 0 or more"),
        ("keep", "many", "keep is 'many': give a whole number"),
        ("keep", True, "keep is True: give a whole number"),
        ("keep", 1.5, "keep is 1.5: give a whole number"),
        ("root", ["/opt"], "root is ['/opt']: give a text"),
        ("owner", "a:b", f"owner is 'a:b': {ACCOUNT}"),
        ("owner", "-R", f"owner is '-R': {ACCOUNT}"),
        ("group", "staff; rm -rf /", f"group is 'staff; rm -rf /': {ACCOUNT}"),
        ("mode", "rwxr-xr-x", f"mode is 'rwxr-xr-x': {MODE}"),
        ("links", ["all"], "links is 'all': choose one of versioned, default"),
        ("links", {"versioned": True}, "links is {'versioned': True}: give a list"),
        ("force", 2, f"force is 2: {TRUTH}"),
        ("delivery", "carry", "delivery is 'carry': choose one of push, pull"),
        ("source", {}, "source is a mapping: give a text"),
        ("checksum", [], "checksum is []: give a text"),
        ("catalogue", False, "catalogue is a truth value: give a text"),
        ("verify", "some", "verify is 'some': choose one of quick, full"),
        ("externally_managed", "x", f"externally_managed is 'x': {TRUTH}"),
        ("compile_bytecode", [], f"compile_bytecode is []: {TRUTH}"),
        ("patch_sysconfig", {}, f"patch_sysconfig is {{}}: {TRUTH}"),
        ("lock_timeout", -5, "lock_timeout is -5: give seconds, 0 or more"),
        ("lock_timeout", "1m", "lock_timeout is '1m': give a whole number"),
        *(
            ("cooldown", value, f"cooldown is {value!r}: give days or weeks, such as 7d or 2w")
            for value in ("7", "1h", "-1d", "²d")
        ),
        ("cooldown_except", "moderate", "cooldown_except is 'moderate': choose one of critical, high, medium, low, none"),
    ],
)
def test_what_is_wrong_with_an_option(option: str, value: Any, sentence: str) -> None:
    assert refused({"builds": ["3.13"], option: value}) == sentence


def test_every_option_is_refused_when_it_can_not_be_read() -> None:
    for option, spec in OPTIONS.items():
        if spec["type"] != "raw":
            assert refused({"builds": ["3.13"], option: object()}).startswith(f"{option} is ")


@pytest.mark.parametrize("source", ["/srv/builds", "builds/cpython.tar.gz"])
def test_a_pull_of_what_is_on_the_controller(source: str) -> None:
    sentence = (
        f"delivery is pull and the source {source} is on the controller, where no host can fetch it: "
        "use delivery: push, or a source that is an http(s) URL"
    )
    assert refused({"builds": ["3.13"], "source": source, "delivery": "pull"}) == sentence
    for fetched in ("upstream", "https://mirror.example/builds"):
        assert declare({"builds": ["3.13"], "source": fetched, "delivery": "pull"}).delivery == "pull"


def test_a_token_that_can_not_be_read_is_not_shown() -> None:
    assert refused({"builds": [], "token": ["secret"]}) == "token is a list: give a text"
    for name in ("source", "catalogue"):
        assert refused({"builds": [], name: ["https://user:secret@mirror.example"]}) == f"{name} is a list: give a text"


def test_no_such_option() -> None:
    assert refused({"builds": ["3.13"], "version": "3.13", "path": "/"}) == (
        f"unknown option `version`: choose one of {', '.join(OPTIONS)}"
    )


@pytest.mark.parametrize("option", ["root", "bin_dir"])
@pytest.mark.parametrize(
    "value",
    [
        *("/", "//", "/.", "/./", "x", "./x", "x/y", "~", "~/", "~/.", "~app/python", "/a/../b", "/a/..", "~/.."),
        *("/a\nb", "/a\tb", "/a -> b", " /a", "$HOME/python", "C:\\python"),
    ],
)
def test_no_folder(option: str, value: str) -> None:
    assert refused({"builds": [], option: value}) == f"{option} is {value!r}: {FOLDER}"


def test_an_empty_root_is_none() -> None:
    assert refused({"builds": [], "root": ""}) == f"root is '': {FOLDER}"


@pytest.mark.parametrize(
    ("root", "bin_dir", "folders"),
    [
        ("/opt/python", None, ("/opt/python", "/usr/local/bin")),
        ("/opt/python/", "", ("/opt/python", "/usr/local/bin")),
        ("//opt/./python//", None, ("/opt/python", "/usr/local/bin")),
        ("/srv/python", None, ("/srv/python", "/srv/python/bin")),
        ("~/x", None, ("~/x", "~/x/bin")),
        ("~/x/", "~/.local/bin/", ("~/x", "~/.local/bin")),
        ("/srv/my python/…", "/usr/bin", ("/srv/my python/…", "/usr/bin")),
        ("/a/..b/...", None, ("/a/..b/...", "/a/..b/.../bin")),
    ],
)
def test_folders(root: str, bin_dir: str | None, folders: tuple[str, str]) -> None:
    desired = declare({"builds": [], "root": root, "bin_dir": bin_dir})
    assert (desired.root, desired.bin_dir) == folders


@pytest.mark.parametrize("value", ["0755", "755", "0o755", 493, yaml.safe_load("0755"), yaml.safe_load("'0755'")])
def test_modes_that_mean_0755(value: Any) -> None:
    assert declare({"builds": [], "mode": value}).finish.mode == "0755"


@pytest.mark.parametrize(
    ("value", "mode"), [(None, ""), ("", ""), ("0700", "0700"), (0o750, "0750"), ("777", "0777"), ("0711", "0711")]
)
def test_modes(value: Any, mode: str) -> None:
    assert declare({"builds": [], "mode": value}).finish.mode == mode


@pytest.mark.parametrize("value", [755, 0, "0", "0644", "0500", "493", "4755", "02755", "-755", True, 7.55, "u=rwx", [], "0x1ed"])
def test_no_modes(value: Any) -> None:
    assert refused({"builds": [], "mode": value}) == f"mode is {value!r}: {MODE}"


@pytest.mark.parametrize("account", ["app", "1000", "svc-python", "host$", "first.last", "user@domain", 1000])
def test_accounts(account: Any) -> None:
    finish = declare({"builds": [], "owner": account, "group": account}).finish
    assert (finish.owner, finish.group) == (str(account), str(account))


@pytest.mark.parametrize(
    ("option", "value", "read"),
    [
        ("exclusive", "yes", True),
        ("exclusive", "False", False),
        ("exclusive", 0, False),
        ("keep", "3", 3),
        ("keep", " 3 ", 3),
        ("links", "versioned, default", frozenset({"versioned", "default"})),
        ("links", "", frozenset()),
        ("links", ("default",), frozenset({"default"})),
    ],
)
def test_texts_that_templates_give(option: str, value: Any, read: Any) -> None:
    assert getattr(declare({"builds": [], option: value}), option) == read


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["3.13", "/x", "0755"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS.split(", ")), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*OPTIONS, "other"]), anything, max_size=5))
def test_whatever_is_written_is_read_or_refused(options: dict[str, Any]) -> None:
    with contextlib.suppress(DeclarationError):
        assert isinstance(declare(options), Desired)


@given(anything)
def test_whatever_is_an_element_is_read_or_refused(element: Any) -> None:
    try:
        wanted = parse_wanted(element)
    except DeclarationError:
        return
    assert parse_request(wanted.request.text) == wanted.request


def test_off_without_quotes() -> None:
    """YAML 1.1 reads it as a truth value."""
    assert declare({"builds": ["3.13"], "attestations": False}).attestations == "off"
    assert declare({"builds": ["3.13"], "attestations": "require"}).attestations == "require"
    with pytest.raises(DeclarationError, match="attestations is True: give a text"):
        declare({"builds": ["3.13"], "attestations": True})


UNREADABLE = ("/srv/caf\udce9", "/srv/\x7f", "/srv/\x9b31m", "/srv/\u202egnp", "/srv/py\u200bthon", "/srv/\u2028", "~/\ufeff")


@pytest.mark.parametrize("windows", [False, True])
@pytest.mark.parametrize("option", ["root", "bin_dir"])
@pytest.mark.parametrize("value", UNREADABLE)
def test_a_folder_that_is_not_utf_8_or_that_nobody_sees_as_it_is(option: str, value: str, windows: bool) -> None:
    value = f"C:{value}" if windows and value[0] == "/" else value
    with pytest.raises(DeclarationError) as caught:
        declare({"builds": [], option: value}, windows=windows)
    assert str(caught.value) == (
        f"{option} is {value!r}: give a path in UTF-8, without control characters and without invisible characters"
    )


APART = (
    # root and bin_dir, where a link of ours, a build or what belongs to them has its place
    ("/usr/local/bin/python3", "/usr/local/bin", "root"),
    ("/usr/local/bin/python3.13", "/usr/local/bin", "root"),
    ("/usr/local/bin/python/x/y", "/usr/local/bin", "root"),
    ("~/bin/python3.14t", "~/bin", "root"),
    ("C:/bin/Python3.13.CMD", "C:/BIN", "root"),
    ("/opt/python", "/opt/python/cpython-3.13", "bin_dir"),
    ("/opt/python", "/opt/python/cpython-3.13/bin", "bin_dir"),
    ("/opt/python", "/opt/python/cpython-3.13+freethreaded/bin", "bin_dir"),
    ("/opt/python", "/opt/python/cpython-3.13.1+20250115-x86_64-unknown-linux-gnu-install_only/bin", "bin_dir"),
    ("/opt/python", "/opt/python/.staging", "bin_dir"),
    ("/opt/python", "/opt/python/.lock/bin", "bin_dir"),
    ("/opt/python", "/opt/python/.standalone-python.staging", "bin_dir"),
    ("c:/Python", "C:/python/cpython-3.13", "bin_dir"),
)


@pytest.mark.parametrize(("root", "bin_dir", "wrong"), APART)
def test_folders_of_which_one_is_where_the_other_has_links_and_builds(root: str, bin_dir: str, wrong: str) -> None:
    windows = root[1] == ":"
    for declared in (lambda options: declare({"builds": [], **options}, windows=windows), partial(observing, windows=windows)):
        with pytest.raises(DeclarationError, match=f"^{wrong} is .* choose another") as caught:
            declared({"root": root, "bin_dir": bin_dir})
        assert root in str(caught.value)
        assert bin_dir in str(caught.value)


@pytest.mark.parametrize(
    ("root", "bin_dir"),
    [
        ("/opt/cpython-3.13", None),
        ("/opt/cpython-3.13", "/opt"),
        ("/opt/python3", "/opt/bin"),
        ("/opt/python", "/opt/python"),
        ("/opt/python", "/opt/python/links"),
        ("/opt/python", "/opt/pythons/cpython-3.13"),
        ("/usr/local/bin/pythons", "/usr/local/bin"),
        ("/usr/local/bin/python2", "/usr/local/bin"),
    ],
)
def test_folders_that_go_together(root: str, bin_dir: str | None) -> None:
    assert declare({"builds": [], "root": root, "bin_dir": bin_dir}).root == root


# For Windows hosts.


@pytest.mark.parametrize(
    ("root", "bin_dir", "found"),
    [
        (None, None, ("%ProgramData%/standalone-python", "%ProgramData%/standalone-python/bin")),
        ("/opt/python", None, ("%ProgramData%/standalone-python", "%ProgramData%/standalone-python/bin")),
        ("C:\\Python\\", None, ("C:/Python", "C:/Python/bin")),
        ("d:/a b/./c//d", "%ProgramFiles(x86)%\\links", ("d:/a b/c/d", "%ProgramFiles(x86)%/links")),
        ("~\\Pyth\u00f6n", "~/bin", ("~/Pyth\u00f6n", "~/bin")),
    ],
)
def test_folders_on_windows(root: str | None, bin_dir: str | None, found: tuple[str, str]) -> None:
    desired = declare({"builds": [], "root": root, "bin_dir": bin_dir}, windows=True)
    assert (desired.root, desired.bin_dir) == found
    assert observing({"root": root, "bin_dir": bin_dir}, windows=True).root == found[0]


@pytest.mark.parametrize(
    "root",
    [
        *("/srv/python", "\\\\server\\share\\python", "python", "C:", "C:\\", "C:python", "~", "%ProgramData%", "C:\\a\\..\\b"),
        *("C:\\a:b", "C:\\a\\b.", "C:\\a \\b", "C:\\a*", 'C:\\a"b', "C:\\a\nb", "C:\\a -> b"),
    ],
)
def test_no_folder_on_windows(root: str) -> None:
    with pytest.raises(DeclarationError, match="for a Windows host, give an absolute path below a drive") as caught:
        declare({"builds": [], "root": root}, windows=True)
    assert str(caught.value).startswith(f"root is {root!r}: ")


@pytest.mark.parametrize(("option", "value"), [("owner", "deploy"), ("group", "staff"), ("mode", "0750")])
def test_windows_has_no_owners_and_modes_of_that_kind(option: str, value: str) -> None:
    with pytest.raises(DeclarationError, match=f"^{option} is '{value}': leave it out for Windows hosts"):
        declare({"builds": [], option: value}, windows=True)


@pytest.mark.parametrize(("given", "means"), [(None, None), ("yes", True), (False, False)])
def test_add_to_path_has_three_meanings(given: Any, means: bool | None) -> None:
    assert declare({"builds": [], "add_to_path": given}, windows=True).add_to_path is means
