# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers as hosts, servers and users write them: read, or an error of ours, and never Python's own error."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.archives import failure
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import from_rows, is_build, parse_name
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.request import Version, parse_request
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.target import from_facts
from ansible_collections.standalone.python.plugins.plugin_utils.core.digits import whole_number
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import (
    ContentError,
    DeclarationError,
    ObservationError,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import declare
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.observed import Observed, parse
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.receipt import parse_receipt
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.step import ours
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply import github
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.lock import parse_lock
from tests.tools.planning import FACTS, name_of
from tests.tools.recorded import RECORDED
from tests.tools.sentences import check

LONG = "9" * 5000  # more than Python makes a number of
# What Python calls digits and refuses, digits of other scripts, which it takes, and numbers that nothing has.
NO_NUMBERS = ("²", "1²", "٣", "३", "\U0001d7db", LONG, "9" * 19, "", " 1", "1 ", "+1", "-1", "1_0", "0x1", "1e3", "1.0")
ODD = ("²", "٣", "\U0001d7db", LONG, "9" * 10)


def named(value: Any) -> str:
    """The name of a test's value, which Python may not be able to print."""
    try:
        return ascii(value)[:24]
    except ValueError:
        return type(value).__name__


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("00", 0), ("007", 7), ("9" * 18, 10**18 - 1)])
def test_whole_numbers(text: str, number: int) -> None:
    assert whole_number(text) == number


@pytest.mark.parametrize("text", NO_NUMBERS, ids=named)
def test_what_is_no_whole_number(text: str) -> None:
    assert whole_number(text) is None


# What a host says.


@pytest.mark.parametrize("text", NO_NUMBERS, ids=named)
def test_free_space_that_is_no_number_is_not_known(text: str) -> None:
    assert Observed("/r", "/b", "writable", "writable", facts={"free_kb": text}).free_kb is None


@pytest.mark.parametrize("text", ODD, ids=named)
def test_facts(text: str) -> None:
    with pytest.raises(ObservationError) as caught:
        from_facts(FACTS | {"libc_version": f"2.{text}"})
    check(str(caught.value))


@pytest.mark.parametrize("text", [*ODD, "-1"], ids=named)
def test_the_count_of_modules(text: str) -> None:
    for old, new in (("modules=263", f"modules={text}"), ('"modules": 263', f'"modules": {text}')):
        try:
            found = parse(RECORDED["sound"].replace(old, new))
            # One that can exist, for all that anybody knows.
            assert text == "9" * 10 or found.installed[0].receipt is None
            check(found.installed[0].problem)
        except ObservationError as error:
            check(str(error))


@pytest.mark.parametrize("text", ODD, ids=named)
def test_a_receipt_with_numbers_that_there_are_not_is_none(text: str) -> None:
    receipt = "\n".join(line.removeprefix("receipt=") for line in RECORDED["sound"].splitlines() if line.startswith("receipt="))
    whole = receipt[: receipt.index("}") + 1]
    assert parse_receipt(whole) is not None
    for old, new in (('"version": "3.12.1"', f'"version": "3.12.{text}"'), ('"modules": 263', f'"modules": {"9" * 19}')):
        assert old in whole
        assert parse_receipt(whole.replace(old, new)) is None
    assert parse_receipt(whole.replace('"modules": 263', f'"modules": {LONG}')) is None


@pytest.mark.parametrize("text", ODD, ids=named)
def test_names_with_numbers_that_there_are_not_are_not_ours(text: str) -> None:
    b313 = name_of("3.13.0+20250115")
    host = Observed("/opt/python", "/usr/local/bin", "writable", "writable")
    assert parse_name(b313.replace("3.13.0", f"3.13.{text}")) is None
    assert parse_name(b313.replace("20250115", text)) is None
    assert ours("/opt/python/cpython-3.13", b313, host)
    assert not ours(f"/opt/python/cpython-3.{text}", b313, host)
    assert ours("/usr/local/bin/python3.13", "/opt/python/cpython-3.13/bin/python3.13", host)
    assert not ours(f"/usr/local/bin/python3.{text}", "/opt/python/cpython-3.13/bin/python3.13", host)


# What a user says.


@pytest.mark.parametrize(
    "form", ["{}", "3.{}", "3.13.{}", "3.14.0rc{}", ">=3.{}", "~=3.13.{}", "!={}", "3.13+{}", ">=3.12,<{}.*"]
)
@pytest.mark.parametrize("text", ODD, ids=named)
def test_requests(form: str, text: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        parse_request(form.format(text))
    check(str(caught.value))


@pytest.mark.parametrize("text", ODD, ids=named)
def test_versions(text: str) -> None:
    with pytest.raises(DeclarationError):
        Version.parse(f"3.13.{text}")


@pytest.mark.parametrize(
    "option", ["keep", "lock_timeout", "mode", "owner", "group", "root", "bin_dir", "force", "state", "links"]
)
@pytest.mark.parametrize("value", [*ODD, 10**5000, -(10**5000), [10**5000], {"a": 10**5000}, 10**10, 1e300], ids=named)
def test_options(option: str, value: Any) -> None:
    with pytest.raises(DeclarationError) as caught:
        declare({"builds": [], option: value})
    check(str(caught.value))


@pytest.mark.parametrize("value", [*ODD, 10**5000, [10**5000], {10**5000: 1}, float("inf"), float("nan"), 1e300], ids=named)
@pytest.mark.parametrize("key", ["", "version", "variant", "flavor", "release", "default", "state"])
def test_builds(key: str, value: Any) -> None:
    element = {"version": "3.13", key: value} if key else value
    with pytest.raises(DeclarationError) as caught:
        declare({"builds": [element]})
    check(str(caught.value))


@pytest.mark.parametrize("account", ["0", "65534", "4294967294", 1000, "a" * 256], ids=named)
def test_accounts_that_there_can_be(account: Any) -> None:
    assert declare({"builds": [], "owner": account}).finish.owner == str(account)


@pytest.mark.parametrize("account", ["4294967295", "4294967296", 10**10, "a" * 257], ids=named)
def test_accounts_that_there_can_not_be(account: Any) -> None:
    with pytest.raises(DeclarationError, match="give the name or the number of an account"):
        declare({"builds": [], "owner": account})


def test_a_token_of_many_digits_is_a_token() -> None:
    assert declare({"builds": [], "token": 12345678901234567890}).token == "12345678901234567890"


# What a file or a server says.


@pytest.mark.parametrize("text", ODD, ids=named)
def test_catalogues(text: str) -> None:
    name = f"{name_of('3.13.0+20250115')}.tar.gz"
    for row in (
        f"20250115\t{name.replace('3.13.0', f'3.13.{text}')}\t-",
        f"20250115\t{name.replace('3.13.0', f'3.{text}.0')}\t-",
        f"20250115\t{name}\t-\t{text if text != '9' * 10 else LONG}",
        f"{text}\t{name}\t-",
    ):
        with pytest.raises(ContentError) as caught:
            from_rows("the catalogue c", row)
        check(str(caught.value))
    assert not is_build(name.replace("3.13.0", f"3.13.{text}"))


@pytest.mark.parametrize("size", [10**18, 10**4000, -(10**4000), 0], ids=named)
def test_a_lock_file(size: int) -> None:
    entry = {
        "request": "3.13",
        "target": "x86_64-unknown-linux-gnu",
        "release": "20250115",
        "file": f"{name_of('3.13.0+20250115')}.tar.gz",
        "url": "u",
        "sha256": "0" * 64,
        "size": 1,
    }
    assert parse_lock(json.dumps({"lock": 1, "builds": [entry]}), "l").builds[0].size == 1
    with pytest.raises(ContentError, match="but must be a number of bytes") as caught:
        parse_lock(json.dumps({"lock": 1, "builds": [entry | {"size": size}]}), "l")
    check(str(caught.value))


@pytest.mark.parametrize("size", [10**18, 10**4000, -1, 0, True, 1.5, "1", None], ids=named)
def test_a_size_that_upstream_does_not_have_is_not_known(size: Any) -> None:
    name = f"{name_of('3.13.0+20250115')}.tar.gz"
    asset = {"name": name, "size": size, "digest": None}
    page = json.dumps([{"tag_name": "20250115", "draft": False, "assets": [asset]}]).encode()
    ((release,),) = github.releases(lambda _url: (page, ""), "https://example.org")
    assert release.rows["20250115", name].size is None


@pytest.mark.parametrize("text", [f"[{LONG}]", "[" * 100_000, '{"a":' * 100_000], ids=named)
def test_json_that_has_no_end_or_numbers_without_one(text: str) -> None:
    with pytest.raises(ContentError) as caught:
        list(github.releases(lambda _url: (text.encode(), ""), "https://example.org"))
    check(str(caught.value))
    with pytest.raises(ContentError) as caught:
        github.versions_rows("the list", text.encode())
    check(str(caught.value))
    assert parse_receipt(text) is None


@pytest.mark.parametrize(
    "text",
    [
        *NO_NUMBERS,
        "Mon, 99999999999999999999 Jan 2025 00:00:00 GMT",
        f"Mon, 01 Jan {LONG} 00:00:00 GMT",
        "Mon, 01 Jan 2025 00:00:00 +99999999",
    ],
    ids=named,
)
def test_how_long_a_server_asks_to_wait(text: str) -> None:
    response = cast("Any", SimpleNamespace(status_code=503, reason="", headers={"Retry-After": text}))
    wrong = failure.judge_response(response, "https://example.org/x", "text")
    assert wrong is not None
    assert wrong.pause in (0.0, 1.0)  # " 1" is a header with white space around it
