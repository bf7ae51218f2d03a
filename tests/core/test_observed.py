# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an agent prints -> a host. ``observations/`` has what ``observe.sh`` really printed about real builds.

Above all: what can't be read is an error, and never a host on which nothing is installed.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents.sh import FINISHER
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.target import LEVEL_FLAGS, from_facts
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import (
    AgentError,
    ObservationError,
    StandalonePythonError,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.state import observed as module
from ansible_collections.standalone.python.plugins.plugin_utils.core.state import receipt as receipt_module
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.answer import BEGIN, END, FAILURE_BEGIN, FAILURE_END
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.failures import FAILURES, exposure
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.observed import (
    Installed,
    Observed,
    Process,
    RegistryEntry,
    parse,
    relocated,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.paths import moved, native
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.receipt import Finish, Receipt, parse_receipt
from tests.tools.memory_host import receipt_text
from tests.tools.planning import build_of
from tests.tools.recorded import RECORDED

AGENTS = Path(str(module.__file__)).parents[1] / "agents/on_host"
B312 = "cpython-3.12.1+20250115-x86_64-unknown-linux-gnu-install_only_stripped"
B313 = "cpython-3.13.0+20250115-x86_64-unknown-linux-gnu-install_only_stripped"
WHOLE = RECORDED["sound"]
NO_RECEIPT = "its receipt is missing or can't be read"


def refused(text: str) -> str:
    with pytest.raises(ObservationError) as caught:
        parse(text)
    return str(caught.value)


def changed(old: str, new: str, text: str = WHOLE) -> Observed:
    assert old in text
    return parse(text.replace(old, new, 1))


def fault(old: str, new: str, name: str = B312) -> str:
    return next(build.problem for build in changed(old, new).installed if build.name == name)


# What was recorded.


def test_a_host_without_anything() -> None:
    host = parse(RECORDED["empty"])
    assert (host.root, host.bin_dir, host.root_state, host.bin_dir_state) == (
        "/opt/python",
        "/usr/local/bin",
        "absent",
        "writable",
    )
    assert (host.installed, host.links, host.occupied, host.leftovers, host.lock) == ((), {}, frozenset(), (), "")
    assert host.tools >= {"tar", "gzip", "zstd", "sha256sum"}
    assert host.free_kb == 12341208
    assert str(from_facts(host.facts)) == "x86_64 linux, glibc 2.36"
    assert from_facts(host.facts).level == 3


KIND = "os=Linux\narch=x86_64\nlibc=glibc\nlibc_version=2.36\n"
V1, V3 = "cpu_flags=fpu sse2", f"cpu_flags={' '.join(sorted(LEVEL_FLAGS[0][1] | LEVEL_FLAGS[1][1]))}"


@pytest.mark.parametrize(
    ("triple", "start", "kind", "foreign"),
    [
        ("x86_64-unknown-linux-gnu", "0", KIND + V1, ""),
        ("x86_64-unknown-linux-gnu", "127", KIND + V1, ""),
        ("aarch64-unknown-linux-gnu", "126", KIND + V1, "is for aarch64 linux, and the host is x86_64 linux, glibc 2.36"),
        ("aarch64-unknown-linux-gnu", "", KIND + V1, "is for aarch64 linux, and the host is x86_64 linux, glibc 2.36"),
        ("aarch64-unknown-linux-gnu", "0", KIND + V1, ""),  # under an emulator
        ("aarch64-unknown-linux-gnu", "126", "", ""),  # nobody has asked yet
        ("aarch64-unknown-linux-gnu", "126", "os=Plan9\narch=x", ""),
        ("x86_64-unknown-linux-musl", "127", KIND + V1, "needs musl, and the host has glibc"),
        ("x86_64-unknown-linux-musl", "0", KIND + V1, ""),  # a static one
        ("x86_64-unknown-linux-gnu", "1", KIND.replace("36", "12"), "needs glibc 2.17 or later, and the host has 2.12"),
        ("i686-unknown-linux-gnu", "0", KIND + V1, ""),
        ("x86_64-apple-darwin", "126", KIND + V1, "is for x86_64 macOS, and the host is x86_64 linux, glibc 2.36"),
        # A build of a higher level can print its version and crash later.
        ("x86_64_v3-unknown-linux-gnu", "0", KIND + V1, "needs a CPU of level v3, and the host's has v1"),
        ("x86_64_v3-unknown-linux-gnu", "132", KIND + V1, "needs a CPU of level v3, and the host's has v1"),
        ("x86_64_v3-unknown-linux-gnu", "0", KIND + V3, ""),
        ("x86_64_v3-unknown-linux-gnu", "132", KIND + V3, ""),
        ("x86_64_v3-unknown-linux-gnu", "0", "cpu=fpu sse2", "needs a CPU of level v3, and the host's has v1"),
        ("x86_64_v3-unknown-linux-gnu", "0", V3.replace("cpu_flags", "cpu"), ""),
        ("x86_64_v3-unknown-linux-gnu", "0", "", ""),
        ("x86_64_v4-unknown-linux-gnu", "0", KIND + V3, "needs a CPU of level v4, and the host's has v3"),
    ],
)
def test_builds_for_other_kinds_of_hosts(triple: str, start: str, kind: str, foreign: str) -> None:
    """Without a fault where the target explains it; with one where it doesn't."""
    build = replace(build_of("3.12.1+20250115"), triple=triple, filename="x.tar.gz", sha256="ab" * 32)
    receipt = receipt_text(Receipt(build, "", Finish(), "bin/python3", 1, "0" * 64, "2026-01-01T00:00:00Z"))
    lines = [BEGIN, "root=/r", "bin_dir=/b", "root_state=writable", "bin_dir_state=writable", f"build={build.name}"]
    lines += [f"receipt={line}" for line in receipt.split("\n")]
    lines += [f"start={start}", f"says={'Python 3.12.1' if start == '0' else 'no'}"] if start else []
    (found,) = parse("\n".join([*lines, "modules=1", *filter(None, kind.split("\n")), END])).installed
    assert found.foreign == foreign
    assert bool(found.problem) == (start != "0" and not foreign)


def test_sound_builds() -> None:
    host = parse(WHOLE)
    assert [(build.name, build.problem, build.build.name) for build in host.installed] == [(B312, "", B312), (B313, "", B313)]
    assert host.links == {
        "/opt/python/cpython-3.12": B312,
        "/opt/python/cpython-3.13": B313,
        "/usr/local/bin/python3.11": "/usr/bin/python3.11",
        "/usr/local/bin/python3.12": "/opt/python/cpython-3.12/bin/python3.12",
        "/usr/local/bin/python3.13": "/opt/python/cpython-3.13/bin/python3.13",
    }
    assert host.occupied == {"/usr/local/bin/python3-config"}
    receipt = host.installed[0].receipt
    assert receipt is not None
    assert receipt.finish == Finish()
    assert (receipt.executable, receipt.modules) == ("bin/python3.12", 263)
    assert receipt.build.filename == f"{B312}.tar.gz"
    assert receipt.installed_at == "2026-11-23T12:57:31Z" == host.installed[0].installed_at


def test_verify_full() -> None:
    first, second = parse(RECORDED["verify-full"]).installed
    assert first.problem == "its files differ from what was installed: lib/python3.12/os.py"
    assert first.extra == ("lib/python3.12/sitecustomize.py",)
    assert (second.problem, second.extra) == ("", ())


def test_broken_builds_and_what_a_killed_run_left() -> None:
    host = parse(RECORDED["broken"])
    assert [(build.name, bool(build.problem)) for build in host.installed] == [(B312, True), (B313, True)]
    assert host.installed[1].problem == "its executable is missing"
    assert (host.lock, host.lock_state, host.leftovers) == (
        "4711:1:b:h",
        "elsewhere",
        ("/opt/python/.standalone-python.staging",),
    )
    # A folder with a receipt's folder in it, but with a name that no build of ours has.
    assert host.occupied == {"/opt/python/cpython-custom/", "/opt/python/cpython-3.9/", "/usr/local/bin/python3-config"}
    assert host.links["/usr/local/bin/python3.11"] == "/nowhere/größe -> x"


def test_paths_with_other_letters_and_spaces() -> None:
    host = parse(RECORDED["unicode"])
    assert host.root == "/opt/größe πython"
    assert host.links == {
        "/opt/größe πython/bin/python3": "/opt/größe πython/cpython-3.13/bin/python3",
        "/opt/größe πython/cpython-3.13": B312,
    }
    assert [build.problem for build in host.installed] == [""]


# What a terminal, a login shell or a bad connection makes of it.


@pytest.mark.parametrize("name", RECORDED)
def test_carriage_returns(name: str) -> None:
    assert parse(RECORDED[name].replace("\n", "\r\n")) == parse(RECORDED[name])


@pytest.mark.parametrize("name", RECORDED)
def test_what_stands_around_it_does_not_matter(name: str) -> None:
    text = RECORDED[name]
    around = f"Welcome to host!\nbuild=nothing\nroot=/\n\x1b[31m\n{text}\nlogout\nroot=/nowhere\n{END}\n"
    assert parse(around) == parse(text)
    assert parse(text.rstrip("\n")) == parse(text)


def test_keys_of_agents_to_come_do_not_matter() -> None:
    assert changed("root_state=", "colour=blue\nroot_state=") == parse(WHOLE)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", "nothing at all"),
        ("doing=locking /opt/python\ndoing=unpacking x\ndone=1\n", "nothing at all while it was unpacking x"),
        (" \n\t\r\n", "nothing at all"),
        ('Please login as the user "admin" rather than root.\n', 'Please login as the user "admin" rather than root.'),
        ("sh: not found", "sh: not found"),
        (f"{BEGIN}\n", BEGIN),
        (f"{END}\n{BEGIN}\n", f"{END} {BEGIN}"),
        (f"x{BEGIN}\n{END}\n", f"x{BEGIN} {END}"),
    ],
)
def test_no_observation_at_all(text: str, shown: str) -> None:
    assert refused(text) == (
        f"the host's answer can't be read: instead of an observation of its interpreters it gave {shown}; "
        "see that its shell is a POSIX sh, or PowerShell on Windows, and that nothing ends it early"
    )


def test_a_long_answer_is_not_shown_whole() -> None:
    assert len(refused("word " * 10_000)) < 600


@pytest.mark.parametrize("name", RECORDED)
def test_every_truncation_is_an_error(name: str) -> None:
    text = RECORDED[name]
    for end in range(len(text.rstrip("\n"))):
        with pytest.raises(ObservationError):
            parse(text[:end])


def test_nothing_between_the_sentinels() -> None:
    assert refused(f"{BEGIN}\n{END}\n") == "the host's answer can't be read: it lacks 'root'"


@pytest.mark.parametrize("key", ["root", "bin_dir", "root_state", "bin_dir_state"])
def test_what_must_be_said(key: str) -> None:
    text = re.sub(f"^{key}=.*\n", "", WHOLE, flags=re.MULTILINE)
    assert refused(text) == f"the host's answer can't be read: it lacks {key!r}"


@pytest.mark.parametrize("key", ["root_state", "bin_dir_state", "lock_state"])
def test_a_state_that_is_unknown(key: str) -> None:
    text = re.sub(f"^{key}=.*\n", "", WHOLE, flags=re.MULTILINE).replace(f"{END}\n", f"{key}=odd\x1b[31m\n{END}\n")
    assert refused(text) == rf"the host's answer can't be read: 'odd\x1b[31m' is not a valid {key}"


def test_a_line_that_is_none() -> None:
    text = WHOLE.replace("start=0", "sh: 12: not found\nstart=0", 1)
    assert refused(text) == "the host's answer can't be read: 'sh: 12: not found' is not a key=value line"


def test_what_is_said_of_no_build() -> None:
    text = WHOLE.replace(f"build={B312}\n", "", 1)
    assert refused(text) == "the host's answer can't be read: receipt= stands before any build="


@pytest.mark.parametrize("modules", ["", "modules=\n", "modules=many\n", "modules=-1\n", "modules=263\nmodules=263\n"])
def test_a_build_that_is_not_told_whole(modules: str) -> None:
    text = WHOLE.replace("modules=263\n", modules, 1)
    assert refused(text) == f"the host's answer can't be read: what it says of {B312} is not whole"


def test_two_builds_that_ran_together() -> None:
    text = WHOLE.replace(f"build={B313}\n", "", 1)
    assert refused(text) == f"the host's answer can't be read: what it says of {B312} is not whole"


@pytest.mark.parametrize(
    "line", ["", "total 0", "-rwxr-xr-x 1 root root 70 Nov 23 12:57 /opt/python/x", "lrwxrwxrwx /elsewhere/x -> y"]
)
def test_a_listing_that_is_none(line: str) -> None:
    text = WHOLE.replace(END, f"ls={line}\n{END}")
    assert refused(text) == f"the host's answer can't be read: {line!r} is not a line of ls -l about a link"


@pytest.mark.parametrize(
    "line",
    [
        "lrwxrwxrwx 1 root root 70 Nov 23 12:57 {} -> {}",
        "lrwxrwxrwx    1 app      domain users        70 Nov 23  2025 {} -> {}",
        "lrwxr-xr-x  1 root  wheel  70 23 Nov 12:57 {} -> {}",
        "lrwxrwxrwx. 1 1000 1000 70 Nov 23 12:57 {} -> {}",
        "l--------- 1 root root 0 Jan  1  1970 {} -> {}",
    ],
)
def test_listings_of_many_systems(line: str) -> None:
    text = WHOLE.replace(END, f"ls={line.format('/opt/python/cpython-3.14', B313)}\n{END}")
    assert parse(text).links["/opt/python/cpython-3.14"] == B313


def test_a_link_whose_target_looks_like_a_path_of_ours() -> None:
    line = "lrwxrwxrwx 1 root root 9 Nov 23 12:57 /usr/local/bin/python -> /x /opt/python/y -> z"
    assert parse(WHOLE.replace(END, f"ls={line}\n{END}")).links["/usr/local/bin/python"] == "/x /opt/python/y -> z"


def test_free_space_that_is_not_known() -> None:
    assert changed("free_kb=", "free_kb=?").free_kb is None
    assert parse(RECORDED["verify-full"]).free_kb is None
    assert parse(RECORDED["verify-full"]).tools == frozenset()


# Faults.


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("start=0\nsays=Python 3.12.1\n", "", "its executable is missing"),
        (
            "start=0\nsays=Python 3.12.1\n",
            "start=127\nsays=python3: error while loading shared libraries:\nsays=libpython3.12.so.1.0: not found\n",
            "it does not start: python3: error while loading shared libraries: libpython3.12.so.1.0: not found",
        ),
        ("start=0\nsays=Python 3.12.1\n", "start=139\nsays=\n", "it does not start: exit code 139"),
        ("start=0\nsays=Python 3.12.1\n", "start=0\nsays=Python 3.12.10\n", "it says that it is 'Python 3.12.10'"),
        ("start=0\nsays=Python 3.12.1\n", "start=0\nsays=\n", "it says that it is ''"),
        ("modules=263", "modules=0", "its standard library lacks 263 of 263 modules and packages"),
        ("modules=263", "modules=262", "its standard library lacks 1 of 263 modules and packages"),
        ("modules=263", "modules=264", ""),
        ("modules=263", "damaged=lib/a.py\nmodules=263", "its files differ from what was installed: lib/a.py"),
        (
            "modules=263",
            "".join(f"damaged={letter}\n" for letter in "abcde") + "modules=263",
            "its files differ from what was installed: a, b, c and 2 more",
        ),
        ("modules=263", "list=0000  files\nmodules=263", "its list of files is not the one that was installed"),
        ("modules=263", "list=\nmodules=263", "its list of files is not the one that was installed"),
        ("receipt={\n", "", NO_RECEIPT),
        ("receipt={\n", "receipt=\nreceipt={\n", ""),
    ],
)
def test_faults(old: str, new: str, words: str) -> None:
    assert fault(old, new) == words


def test_a_build_without_a_receipt_is_still_a_build_of_ours() -> None:
    host = parse(re.sub("^receipt=.*\n", "", WHOLE, flags=re.MULTILINE))
    assert [(build.name, build.build.name, build.receipt, build.problem) for build in host.installed] == [
        (B312, B312, None, NO_RECEIPT),
        (B313, B313, None, NO_RECEIPT),
    ]


def test_a_build_under_another_builds_name() -> None:
    # Somebody renamed a folder: its receipt speaks of a place where it isn't.
    other = B312.replace("3.12.1", "3.12.9")
    host = changed(f"build={B312}", f"build={other}")
    first = host.installed[0]
    assert (first.name, first.build.name, first.receipt, first.problem) == (other, other, None, NO_RECEIPT)


def test_a_copy_of_a_build_is_not_ours() -> None:
    host = changed(f"build={B312}", f"build={B312}.bak")
    assert [build.name for build in host.installed] == [B313]
    assert f"/opt/python/{B312}.bak/" in host.occupied


def test_full_verification_without_a_tool_for_it() -> None:
    assert refused(WHOLE.replace("modules=263", "verify=unable\nmodules=263", 1)) == (
        "verify: full needs sha256sum or shasum on the host, which has neither: use verify: quick"
    )


# Receipts.


def receipt_data() -> dict[str, Any]:
    lines = re.findall("^receipt=(.*)$", WHOLE.partition(f"build={B313}")[0], flags=re.MULTILINE)
    return dict(json.loads("\n".join(lines)))


NEEDED = sorted(
    {*receipt_module._BUILD, *Finish.__dataclass_fields__, "url", "executable", "modules", "files_sha256", "installed_at"}
    - {"certificates"}
)


def test_a_receipt() -> None:
    receipt = parse_receipt(json.dumps(receipt_data()))
    assert receipt is not None
    assert receipt.build.name == B312
    assert parse_receipt(json.dumps(receipt_data() | {"more": [1]})) == receipt


def test_a_receipt_of_an_older_version_stays_readable() -> None:
    """It has the required keys alone; later versions added the others."""
    older = {key: value for key, value in receipt_data().items() if key in NEEDED}
    receipt = parse_receipt(json.dumps(older))
    assert receipt is not None
    assert (receipt.build.name, receipt.started, receipt.carried, receipt.not_carried, receipt.prefix) == (B312, True, 0, (), "")
    assert receipt.components == {}
    assert (receipt.finish.certificates, receipt.certificates) == ("build", "")


@pytest.mark.parametrize(
    ("reported", "components"),
    [
        ({"openssl": "3.0.15", "zlib-ng": "2.2.4"}, {"openssl": "3.0.15", "zlib-ng": "2.2.4"}),
        ({"openssl": "", "expat": "\x1b[31m2.6", "tk": 8, "zlib": None}, dict.fromkeys(("openssl", "expat", "tk", "zlib"), "")),
        ({"<script>": "1", "a b": "1", "": "1", "x" * 33: "1", "\u202e": "1"}, {}),
        ({f"part{number}": "1" for number in range(99)}, {f"part{number}": "1" for number in range(64)}),
        (["openssl"], {}),
        ("openssl", {}),
        (None, {}),
    ],
)
def test_components_of_a_receipt_are_names_and_versions(reported: object, components: dict[str, str]) -> None:
    """Whatever a host writes there, the build stays sound."""
    receipt = parse_receipt(json.dumps(receipt_data() | {"components": reported}))
    assert receipt is not None
    assert receipt.components == components


def test_certificates_that_are_gone_are_a_problem() -> None:
    """The receipt names the host's file; the agent prints that it is not there."""
    kept = ' "certificates": "system",\nreceipt= "certificates_file": "/etc/ssl/cert.pem",\nreceipt= "compile_bytecode"'
    first = WHOLE.replace(' "compile_bytecode"', kept, 1)
    (sound, _other), (found, _unused) = (
        parse(first).installed,
        parse(first.replace("start=0", "start=0\ncertificates=missing", 1)).installed,
    )
    assert sound.receipt is not None
    assert (sound.receipt.finish.certificates, sound.receipt.certificates) == ("system", "/etc/ssl/cert.pem")
    assert (sound.problem, found.problem) == (
        "",
        "/etc/ssl/cert.pem, whose certificates it trusts, is not a file on this host any more",
    )


@pytest.mark.parametrize("value", ["other", ["system"], None, 1])
def test_a_receipt_with_unknown_certificates_is_none(value: Any) -> None:
    assert parse_receipt(json.dumps(receipt_data() | {"certificates": value})) is None


@pytest.mark.parametrize("key", NEEDED)
@pytest.mark.parametrize("value", [None, [], {}, 1.5, ["x"], -1e400])
def test_a_receipt_with_something_else_in_it_is_none(key: str, value: Any) -> None:
    assert parse_receipt(json.dumps(receipt_data() | {key: value})) is None


@pytest.mark.parametrize("key", NEEDED)
def test_a_receipt_that_lacks_something_is_none(key: str) -> None:
    data = receipt_data()
    del data[key]
    assert parse_receipt(json.dumps(data)) is None


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "{}", "{", "3", "\x00", "[" * 100_000, '{"a":' * 50_000, "Infinity", '"text"', "\ufeff{}"]
)
def test_no_receipts(text: str) -> None:
    assert parse_receipt(text) is None


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=3))
def test_whatever_a_receipt_says_is_read_or_none(value: Any) -> None:
    for key in NEEDED:
        receipt = parse_receipt(json.dumps(receipt_data() | {key: value}))
        if receipt is not None:
            assert type(value) is type(receipt_data()[key])


# Failures.


def failure(code: str, detail: str = "", committing: str = "no", step: str = "unpacking x") -> str:
    lines = [f"step={step}", f"failure={code}", f"committing={committing}", *(f"detail={line}" for line in detail.split("\n"))]
    return "\n".join(["banner", FAILURE_BEGIN, *lines, FAILURE_END, ""])


def failed(*arguments: str) -> AgentError:
    with pytest.raises(AgentError) as caught:
        parse(failure(*arguments))
    return caught.value


def test_a_failure_is_a_sentence() -> None:
    error = failed("checksum", "aaa bbb")
    assert str(error) == (
        "unpacking x failed: the archive on the host has the sha256 bbb, where aaa was expected: run again; the host is as it was"
    )
    assert (error.step, error.code, error.output) == ("unpacking x", 1, "aaa bbb")


def test_a_failure_in_the_midst_of_the_change() -> None:
    assert str(failed("io", "mv: no", "yes")).endswith("the host is between two states, run again to complete it")


@pytest.mark.parametrize(
    ("code", "detail", "words"),
    [
        ("space", "90000 1000", "the disk has 1000 kB free and 90000 kB are needed: make room on it and run again"),
        (
            "space",
            "Disk quota exceeded: /opt/python/x",
            "the disk is full (Disk quota exceeded: /opt/python/x): make room on it and run again",
        ),
        (
            "unpack",
            "tar: x: Cannot write:\nNo space left on device",
            "the disk is full (tar: x: Cannot write: No space left on device): make room on it and run again",
        ),
        (
            "unwritable",
            "mkdir: /opt/python: Read-only file system",
            "the file system is read-only (mkdir: /opt/python: Read-only file system): choose another root, or mount it writable",
        ),
        (
            "locked",
            "1:2:b:h",
            FAILURES["locked"].format(detail="1:2:b:h"),
        ),
        ("io", "{braces} stay {0}", "{braces} stay {0}"),
        ("something new", "the detail", "the detail"),
    ],
)
def test_failures(code: str, detail: str, words: str) -> None:
    assert str(failed(code, detail)) == f"unpacking x failed: {words}; the host is as it was"


def test_what_agents_name_as_a_failure_has_a_sentence() -> None:
    shell = "".join(path.read_text(encoding="utf-8") for path in sorted(AGENTS.glob("*.sh")))
    finisher = "".join((AGENTS / name).read_text(encoding="utf-8") for name in FINISHER)
    codes = set(re.findall(r"\b(?:fail|try) ([a-z]+)\b", re.sub("(?m)^ *#.*", "", shell)))
    codes |= set(re.findall(r'(?:Failure|Broken)\(\s*"([a-z]+)"', finisher)) | set(
        re.findall(r'errno\.E[A-Z]+: "([a-z]+)"', finisher)
    )
    assert codes >= {"checksum", "locked", "module", "permission"}
    # The finisher's own words are enough where its code has no sentence.
    assert codes - set(FAILURES) <= {"arguments", "patch"}


@pytest.mark.parametrize("code", sorted(FAILURES))
@pytest.mark.parametrize("detail", ["", "one", "one two", "{detail}", "%s"])
def test_every_failure_can_be_told(code: str, detail: str) -> None:
    assert str(failed(code, detail)).startswith("unpacking x failed: ")


def test_a_failure_that_is_cut_off() -> None:
    assert refused(failure("io", "x").partition("committing")[0]).startswith("the host's answer can't be read: ")


def test_a_failure_is_not_read_as_a_host() -> None:
    with pytest.raises(AgentError):
        parse(WHOLE + failure("io", "x"))


# Anything at all.


def block_lines(text: str) -> dict[str, list[str]]:
    """The lines of each build, by its name."""
    blocks: dict[str, list[str]] = {}
    name = ""
    for line in text.split("\n"):
        key = line.partition("=")[0]
        if key == "build":
            name = line.partition("=")[2]
        if key in ("build", "receipt", "start", "says", "modules", "damaged", "extra", "list", "packages"):
            blocks.setdefault(name, []).append(line)
    return blocks


@settings(max_examples=300)
@given(st.sampled_from(sorted(RECORDED)), st.data())
def test_lines_that_are_lost(name: str, data: st.DataObject) -> None:
    lines = RECORDED[name].split("\n")
    lost = data.draw(st.sets(st.integers(0, len(lines) - 1), min_size=1, max_size=6))
    text = "\n".join(line for number, line in enumerate(lines) if number not in lost)
    whole = parse(RECORDED[name])
    try:
        rest = parse(text)
    except ObservationError:
        return
    assert (rest.root, rest.bin_dir, rest.root_state) == (whole.root, whole.bin_dir, whole.root_state)
    assert rest.links.items() <= whole.links.items()
    assert rest.occupied <= whole.occupied
    assert set(rest.leftovers) <= set(whole.leftovers)
    assert rest.facts.items() <= whole.facts.items()
    before: dict[str, Installed] = {build.name: build for build in whole.installed}
    told, tells = block_lines(RECORDED[name]), block_lines(text)
    for build in rest.installed:
        assert build.build.name == before[build.name].build.name
        if told[build.name] == tells[build.name]:
            assert build == before[build.name]
        elif before[build.name].receipt and build.receipt:
            assert build.receipt == before[build.name].receipt
    # A build is lost only with a line that names it, and never because of what else is lost.
    for build in whole.installed:
        if f"build={build.name}" in text.split("\n"):
            assert build.name in {other.name for other in rest.installed}


@settings(max_examples=300)
@given(st.sampled_from(sorted(RECORDED)), st.data())
def test_lines_that_are_garbled(name: str, data: st.DataObject) -> None:
    lines = RECORDED[name].split("\n")
    keys = st.sampled_from(sorted({line.partition("=")[0] for line in lines} | {FAILURE_BEGIN, "detail", "verify"}))
    line = st.text(max_size=20) | st.builds(lambda key, value: f"{key}={value}", keys, st.text(max_size=20))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        lines[at : at + data.draw(st.integers(0, 1))] = [data.draw(line | st.sampled_from(lines))]
    try:
        host = parse("\n".join(lines))
    except StandalonePythonError:
        return
    assert isinstance(host, Observed)
    assert all(build.build.name == build.name for build in host.installed)


@given(st.text())
def test_any_text_is_no_observation(text: str) -> None:
    with pytest.raises(ObservationError):
        parse(text)


WINDOWS = """== standalone-python observation 1 ==
layout=windows
root*=QzovUHl0aMO2bg==
bin_dir=C:/links
root_state=writable
bin_dir_state=absent
held*=QzovUHl0aMO2bi8uc3RhZ2luZw==
held=C:/other
link=C:/links/python3.13.cmd -> C:/a -> b/python.exe
registered=3.13 3.13.1 64bit C:/Program Files/python.exe
registered=3.12-32
path=ours
os=Windows_NT
os_version=10.0.19045
arch=AMD64
== standalone-python observation end ==
"""


def test_a_windows_host() -> None:
    observed = parse(WINDOWS.replace("\n", "\r\n"))
    assert observed.windows
    assert observed.python == "python.exe"
    assert observed.root == "C:/Pyth\u00f6n"
    assert observed.held == ("C:/Pyth\u00f6n/.staging", "C:/other")
    assert observed.links == {"C:/links/python3.13.cmd": "C:/a -> b/python.exe"}
    assert observed.registered == {
        "3.13": RegistryEntry("3.13.1", "64bit", "C:/Program Files/python.exe"),
        "3.12-32": RegistryEntry("", "", ""),
    }
    assert observed.search_path == "ours"
    assert observed.facts == {"os": "Windows_NT", "os_version": "10.0.19045", "arch": "AMD64"}


@pytest.mark.parametrize("value", ["QzovUHl0aMO2bg=", "Qz ov", "/w==", "\u00f6"])
def test_base64_that_is_none(value: str) -> None:
    with pytest.raises(ObservationError, match="is not base64"):
        parse(WINDOWS.replace("QzovUHl0aMO2bg==", value))


@pytest.mark.parametrize(
    ("path", "shown"),
    [("C:/Python/bin", "C:\\Python\\bin"), ("/opt/python", "/opt/python"), ("cpython-3.13", "cpython-3.13"), ("", "")],
)
def test_native(path: str, shown: str) -> None:
    assert native(path) == shown


# A build that was installed from outside, into the image of another machine


UNSTARTED = WHOLE.replace('receipt= "sha256": "eb', 'receipt= "started": false,\nreceipt= "sha256": "eb', 1)


def of_312(text: str) -> Installed:
    return next(build for build in parse(text).installed if build.name == B312)


def test_one_that_was_never_started() -> None:
    never = of_312(UNSTARTED.replace("start=0\nsays=Python 3.12.1\n", "start=untried\n", 1))
    assert (never.problem, never.started, never.unconfirmed) == ("", False, False)
    now = of_312(UNSTARTED)
    assert (now.problem, now.started, now.unconfirmed) == ("", False, True)
    other = of_312(WHOLE)
    assert (other.started, other.unconfirmed) == (True, False)


def test_one_whose_first_start_fails() -> None:
    failed = of_312(UNSTARTED.replace("start=0\nsays=Python 3.12.1\n", "start=1\nsays=ImportError: no libssl\n", 1))
    assert (failed.problem, failed.unconfirmed) == ("it does not start: ImportError: no libssl", False)


def test_untried_files_are_compared_all_the_same() -> None:
    lost = UNSTARTED.replace("start=0\nsays=Python 3.12.1\nmodules=263", "start=untried\nmodules=262", 1)
    assert of_312(lost).problem == "its standard library lacks 1 of 263 modules and packages"


def test_one_that_others_could_change_was_not_started_and_is_remarked_on() -> None:
    who = "Everyone (S-1-1-0) can change C:/python"
    text = WHOLE.replace("start=0\nsays=Python 3.12.1\n", f"start=untrusted\nsays={who}\n", 1)
    build = of_312(text)
    assert (build.problem, build.untrusted, build.unconfirmed) == ("", who, False)
    way = "run as that user, or let only root and this user change it"
    assert parse(text).remarks == (f"{B312} was not started, as {who}: {way}",)
    assert parse(text.replace("\nroot=", "\nlayout=windows\nroot=", 1)).remarks == (f"{B312} was not started, as {who}",)
    assert (of_312(WHOLE).untrusted, parse(WHOLE).remarks) == ("", ())
    assert of_312(UNSTARTED.replace("start=0\n", "start=untrusted\n", 1)).unconfirmed is False


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("owner 1001 /home/a b", "/home/a b belongs to the user with the number 1001"),
        ("group 50 /srv", "the group with the number 50 can write to /srv"),
        ("others drwxrwxrwx /srv", "every user can write to /srv (its mode is drwxrwxrwx)"),
        ("acl drwxrwxr-x+ /srv", "an access list lets others write to /srv (its mode is drwxrwxr-x+)"),
        ("link - /srv/python3", "/srv/python3 is a link that leads out of its folder"),
        ("unknown - /srv", "the owner of /srv can't be read"),
        ("Everyone can change C:/", "Everyone can change C:/"),
        ("", ""),
    ],
)
def test_who_else_could_change_what_in_words(reason: str, words: str) -> None:
    assert exposure(reason) == words


def test_an_image_is_told_of_in_its_own_paths() -> None:
    here = "/mnt/image/srv/python"
    text = WHOLE.replace("/opt/python", here).replace("/usr/local/bin", "/mnt/image/usr/local/bin")
    text = text.replace(f" -> {here}", " -> /opt/python")
    places = {here: "/opt/python", "/mnt/image/usr/local/bin": "/usr/local/bin"}
    told = relocated(parse(text), places, {"os": "Linux", "arch": "aarch64", "libc": "glibc"})
    plain = parse(WHOLE)
    assert (told.root, told.bin_dir, told.links, told.occupied) == (plain.root, plain.bin_dir, plain.links, plain.occupied)
    assert str(from_facts(told.facts)) == "aarch64 linux, glibc"
    assert told.tools == plain.tools


def test_the_innermost_folder_counts() -> None:
    assert moved("/a/b/c", {"/a": "/x", "/a/b": "/y"}) == "/y/c"
    assert moved("/ab", {"/a": "/x"}) == "/ab"


@pytest.mark.parametrize(
    ("line", "process"),
    [
        (f"7 app app.service here {B313} python3.13", Process(7, "app", "python3.13", B313, "app.service")),
        (f"7 ? - replaced {B313} ", Process(7, "", "", B313, replaced=True)),
        (f"7 DOM\\user a\\x2d@b.service here {B313} x y", Process(7, "DOM\\user", "x y", B313, "a\\x2d@b.service")),
        (f"7 a - here {B313} \x1b[2J\u202e\x85", Process(7, "a", "\\x1b[2J\\u202e\\x85", B313)),
        (f"7 \x1b[2Ja - here {B313} x", Process(7, "\\x1b[2Ja", "x", B313)),
        ("7 app - here cpython-mine x", None),
    ],
)
def test_processes(line: str, process: Process | None) -> None:
    assert parse(with_processes("processes=all", f"process={line}")).processes == (() if process is None else (process,))


def test_a_process_has_short_names() -> None:
    (process,) = parse(with_processes("processes=all", f"process=7 {'u' * 5000} - here {B313} {'c' * 5000}")).processes
    assert max(len(process.user), len(process.command)) <= 100


@pytest.mark.parametrize(
    "line",
    [
        "process=x app - here {0} x",
        "process=7 app - there {0} x",
        "process=7 app $(id).service here {0} x",
        "process=7 app \x1b[2J.service here {0} x",
        f"process=7 app {'u' * 300}.service here {{0}} x",
        "process=12345678901 app - here {0} x",
        "process=7",
        "process=",
        "processes=most",
    ],
)
def test_processes_that_no_agent_prints(line: str) -> None:
    with pytest.raises(ObservationError, match="can't be read"):
        parse(with_processes(line.format(B313)))


def with_processes(*lines: str) -> str:
    return WHOLE.replace(f"\n{END}\n", "".join(f"\n{line}" for line in lines) + f"\n{END}\n")
