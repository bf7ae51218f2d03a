# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""plan, apply, status, verify, rollback and remove, as their user meets them. What they bring about is held by tests/conformance."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.cli.conftest import PROGRAM, Command, Ended, below, on_terminal
from tests.tools.hosts.bases import program
from tests.tools.sentences import HOSTILE, check
from tests.tools.sources import NEW, NEWER, OLD, V12, V13, V13LATER
from tests.tools.web import TOKEN, serve

pytestmark = pytest.mark.usefixtures("warm_cache")

OLD13, NEW13, LATER13 = f"{V13}+{OLD}", f"{V13}+{NEW}", f"{V13LATER}+{NEWER}"


def declared(source: Path, *builds: str, **more: str) -> str:
    return json.dumps({"builds": list(builds), "root": "ROOT", "source": str(source), **more})


@pytest.fixture
def upgraded(command: Command, source: Path) -> Command:
    """A root with 3.13 installed, upgraded, and so with the build before kept."""
    for builds in ([OLD13], [LATER13]):
        file = command.file(json.dumps({"builds": builds, "source": str(source)}))
        assert command("apply", file, "--root", "root").code == 0
    return command


def in_use(command: Command, root: str = "root") -> str:
    return os.readlink(command.folder / root / "cpython-3.13").split("-")[1]


def test_plan_then_apply_then_nothing_to_do(command: Command, source: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    temporary = tmp_path_factory.mktemp("temporary")
    command = replace(command, variables={"TMPDIR": str(temporary)})
    file = command.file(f"builds: ['3.13', {{version: '3.12', default: true}}]\nsource: {source}\n")
    planned = command("plan", file, "--root", "root")
    assert planned.code == 2
    assert planned.output.splitlines()[0] == f"Would install {LATER13}: nothing installed satisfies 3.13"
    remark = r"standalone-python: {}\S* has known problems: [0-9]+ critical\n"
    assert re.fullmatch(remark.format(re.escape(LATER13)) + remark.format("3"), planned.errors)
    assert below(command.folder) == {"python.yml"}, "a plan leaves nothing"
    applied = command("apply", file, "--root", "root", "--diff")
    assert applied.code == 0, applied
    assert re.match(rf"Installed {re.escape(LATER13)} in [0-9.]+ s\n", applied.output), applied
    assert f"+{command.folder}/root/bin/python3 -> " in applied.output
    assert applied.output.endswith(f"3.12 is {command.folder}/root/cpython-3.12/bin/python3\n")
    for again in (command("apply", file, "--root", "root"), command("plan", file, "--root", "root")):
        assert (again.code, again.output) == (0, f"nothing to do: 3.13: {V13LATER} is installed; 3.12: {V12} is installed\n")
    assert not list(temporary.iterdir())


def test_the_interpreter_that_apply_names_runs(command: Command, source: Path) -> None:
    told = json.loads(command("apply", command.file(declared(source, "3.13").replace("ROOT", "~/py")), "--json").output)
    assert told["changed"] is True
    done = subprocess.run(
        [told["interpreters"][0]["stable_path"], "-c", "import ssl, sys; print(sys.prefix)"], capture_output=True, text=True
    )
    assert done.stdout.strip() == f"{command.folder}/py/cpython-3.13", done


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("interpreters_builds: ['3.13']\ninterpreters_use: '3.13'\nanother_role: 1\n", ()),
        ("standalone_python: {builds: ['3.13']}\nother: {}\n", ("--key", "standalone_python")),
        ('{"builds": "3.13"}', ()),
    ],
    ids=["variables of the role", "below a key", "JSON"],
)
def test_where_a_declaration_may_stand(command: Command, source: Path, text: str, options: tuple[str, ...]) -> None:
    more = (*options, "--root", "root", "--source", str(source))
    from_file = command("plan", command.file(text), *more)
    from_input = command("plan", "-", *more, given=text)
    assert from_file == from_input
    assert from_file.output.startswith(f"Would install {LATER13}: "), from_file


def test_paths_in_a_file_are_taken_from_its_folder(command: Command, source: Path) -> None:
    (command.folder / "there").mkdir()
    (command.folder / "there/builds").symlink_to(source)
    file = command.file("builds: ['3.13']\nsource: builds\nroot: ~/root\n", "there/python.yml")
    assert command("plan", file).code == 2


def test_options_win_over_the_file(command: Command, source: Path) -> None:
    file = command.file("builds: ['3.13']\nsource: /nowhere\nroot: /nowhere\nbin_dir: /nowhere/bin\n")
    planned = command("plan", file, "--source", str(source), "--root", "a", "--bin-dir", "b")
    assert f"Would link {command.folder}/b/python3.13 to {command.folder}/a/cpython-3.13/bin/python3.13" in planned.output


def test_a_mirror_without_a_catalogue(command: Command, tmp_path: Path) -> None:
    """It may lack what the bundled catalogue names: the plan says so, and so does the error of the run."""
    with serve(tmp_path) as web:
        file = command.file(json.dumps({"builds": ["3.13.1+20250115"], "source": web.url()}))
        planned, applied = (command(what, file, "--root", "root") for what in ("plan", "apply"))
    assert planned.code == 2
    assert re.search(
        r"the source may lack cpython-3\.13\.1\+20250115-\S+, as only the bundled catalogue was asked; the source's own catalogue is "
        r"unknown: catalogue\.tsv could not be downloaded: \S+/catalogue\.tsv answered 404",
        planned.errors,
    )
    assert applied.code == 1
    assert (
        "; the bundled catalogue names this build, as the source's own catalogue is unknown; nothing was changed\n"
        in applied.errors
    )
    assert below(command.folder) == {"python.yml"}


def test_a_token_and_a_checksum_are_of_the_files_own_source(command: Command, source: Path, catalogue: Path) -> None:
    with serve(source) as web:
        told = {"source": web.url("plain"), "token": TOKEN, "catalogue": str(catalogue)}
        file = command.file(json.dumps({"builds": [OLD13], "root": str(command.folder / "root"), **told}))
        cold = {"STANDALONE_PYTHON_CACHE": str(command.folder / "cold")}
        assert command("apply", file, "--source", web.url("ranges"), environment=cold).code == 0
        assert web.asked
        assert not [asked for asked in web.asked if "authorization" in asked.headers]
    file = command.file(json.dumps({"builds": [NEW13], "source": "one.tar.gz", "checksum": 64 * "0"}))
    assert command("plan", file, "--root", "root", "--source", source).code == 2


def test_a_file_that_is_not_there(command: Command) -> None:
    sentence = command("apply", "missing.yml").sentence
    assert sentence == "the declaration missing.yml can't be read (No such file or directory): check the path and its permissions"
    assert "Is a directory" in command("apply", ".").sentence
    sentence = command("plan", command.file("python:\n  build: []\n"), "--key", "python").sentence
    assert sentence == f"unknown option `build`: did you mean `builds`? ({command.folder}/python.yml, line 2)"
    assert below(command.folder) == {"python.yml"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("plan",), "Missing argument 'FILE'"),
        (("aply", "x"), "unknown command `aply`: did you mean `apply`?"),
        (("plan", "x", "--rot", "y"), "No such option"),
        (("remove",), "Missing argument 'REQUEST...'"),
        (("catalogue", "lst"), "unknown command `lst`: did you mean `list`?"),
    ],
)
def test_a_command_line_that_can_not_be_read(command: Command, arguments: tuple[str, ...], says: str) -> None:
    ended = command(*arguments)
    assert (ended.code, ended.output) == (64, "")
    assert says in ended.errors
    assert "Traceback" not in ended.errors


def test_a_build_that_there_is_not(command: Command, source: Path) -> None:
    sentence = command("apply", "-", "--root", "root", given=declared(source, "3.9")).sentence
    assert sentence.startswith("no build of 3.9 for x86_64 linux")
    assert below(command.folder) == set()


def test_a_failure_after_the_plan_leaves_nothing(command: Command, source: Path) -> None:
    broken = command.folder / f"builds/{NEWER}"
    broken.mkdir(parents=True)
    for path in (source / NEWER).iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    (archive,) = broken.glob("*.tar.gz")
    archive.write_bytes(archive.read_bytes()[:-1000])
    # The shared cache has this archive as it was.
    (command.folder / "cache/builds").unlink()
    before = below(command.folder)
    ended = command("apply", "-", "--root", "root", "--source", "builds", given="builds: ['3.13']")
    assert ended.code == 1
    assert "has the wrong checksum" in ended.errors
    assert below(command.folder) == before


def test_no_network(command: Command) -> None:
    """A proxy that isn't there, as upstream may be reached from where tests run, or not."""
    proxy = {"https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
    given = json.dumps(
        {"builds": ["3.13.1+20250115"], "source": "http://127.0.0.1:9/builds", "root": str(command.folder / "root")}
    )
    ended = command("apply", "-", given=given, environment=proxy)
    assert ended.code == 1
    assert "could not be reached" in ended.errors
    assert ended.errors.endswith("; nothing was changed\n")
    assert not (command.folder / "root").exists()


def another_user() -> list[str]:
    """Return the words that run a command as a user who is not root."""
    other = [program("unshare"), "--user", "--map-user=1000"]
    tried = subprocess.run([*other, "true"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"needs namespaces: {tried.stderr.strip()}")
    return other


def test_a_root_that_this_user_can_not_write_to(command: Command) -> None:
    """As another user, which a namespace of users makes of this one: what is read is still this one's."""
    other = another_user()
    root = command.folder / "root"
    root.mkdir(mode=0o555)
    hint = f"this user can't write to {root}: run it with 'sudo {PROGRAM}', or choose another --root\n"
    for what, code, says in (("plan", 2, hint), ("apply", 1, f"nothing was changed, as {hint}")):
        ended = command(what, "-", "--root", "root", given="builds: ['3.13']", runner=other)
        assert (ended.code, ended.output.startswith("Would install 3.13.")) == (code, True), ended
        assert ended.errors.endswith(f"standalone-python: {says}")
        ended = command(what, "-", "--root", "root", "--json", given="builds: ['3.13']", runner=other)
        assert "can't be written by this user, and it has to be changed (install cpython-" in ended.sentence
    (root / "cpython-3.12").symlink_to(f"cpython-{V12}+{OLD}-x86_64-unknown-linux-gnu-install_only_stripped")
    ended = command("uninstall", "3.13", "--root", "root", "--quiet", runner=other)
    assert ended.output.startswith(f"Would remove the link {root}/cpython-3.12 to ")
    assert (ended.code, ended.errors.endswith(f"run it with 'sudo {PROGRAM}'\n")) == (1, True), ended
    (root / "cpython-3.12").unlink()
    assert "no interpreters are installed there" in command("status", "--root", "root", runner=other).output
    root.chmod(0)
    for what in ("status", "verify", "rollback"):
        assert f"the root {root} can't be" in command(what, "--root", "root", runner=other).sentence
    ended = command("plan", "-", "--root-dir", ".", given="builds: ['3.13']", runner=other)
    assert "only root may enter it" in ended.sentence
    root.chmod(0o700)
    assert not list(root.iterdir())


@pytest.mark.parametrize("after", [0.0, 0.2, 0.5])
def test_ended_by_ctrl_c_the_machine_is_as_it_was_or_done(command: Command, source: Path, after: float) -> None:
    """A terminal sends it to the shell too, which has to have the time to tidy up."""
    file = command.file(json.dumps({"builds": ["3.13", "3.12"], "source": str(source)}))
    arguments = [str(PROGRAM), "apply", str(file), "--root", "root"]
    process = subprocess.Popen(
        arguments,
        cwd=command.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=command.environment(),
        process_group=0,
        # A shell's background job ignores it, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while process.poll() is None and not (command.folder / "root/.standalone-python.staging").exists():
        time.sleep(0.01)
    time.sleep(after)
    os.killpg(process.pid, signal.SIGINT)
    _output, errors = process.communicate(timeout=60)
    assert process.returncode in (0, 1, 130), errors
    if process.returncode:
        assert len(errors.split("\n")) <= 3, errors  # the first ends the line on which a terminal shows ^C
        assert not (command.folder / "root/.standalone-python.lock").is_symlink()
        assert not (command.folder / "root/.standalone-python.staging").exists()
    assert command("apply", file, "--root", "root").code == 0
    assert command("verify", "--root", "root").code == 0


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGHUP], ids=lambda sign: sign.name)
def test_ended_by_a_signal_nothing_goes_on(command: Command, source: Path, sign: signal.Signals) -> None:
    """As ``timeout``, systemd and a lost session do; none of them tells the shell that is at work."""
    temporary = command.folder / "temporary"
    temporary.mkdir()
    file = command.file(json.dumps({"builds": ["3.13", "3.12"], "source": str(source), "compile_bytecode": True}))
    process = subprocess.Popen(
        [PROGRAM, "apply", file, "--root", "root"],
        cwd=command.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=command.environment() | {"TMPDIR": str(temporary)},
    )
    while process.poll() is None and not (command.folder / "root/.standalone-python.staging").exists():
        time.sleep(0.01)
    process.send_signal(sign)
    _output, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + sign
    assert errors == f"standalone-python: ended by {sign.name}; no step was done\n"
    assert not list(temporary.iterdir())
    assert not (command.folder / "root").exists()
    assert command("apply", command.file(declared(source, OLD13)), "--root", "root").code == 0


def through(command: Command, shell: str, *arguments: str | Path) -> Ended:
    """A command as a shell runs it: ``"$@"`` is the command."""
    return command(*arguments, runner=["bash", "-o", "pipefail", "-c", shell, "-"])


def test_who_reads_it_may_leave(command: Command, source: Path) -> None:
    file = command.file(declared(source, OLD13), "3.13.yml")
    assert through(command, '"$@" | exec 0<&-', "plan", file, "--root", "root", "--json") == Ended(2, "", "")
    assert through(command, '"$@" | exec 0<&-', "apply", file, "--root", "root", "-q") == Ended(0, "", "")
    assert in_use(command) == OLD13
    assert through(command, '"$@" >&-', "apply", command.file(declared(source, NEW13)), "--root", "root", "-q") == Ended(
        0, "", ""
    )
    assert in_use(command) == NEW13


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux: /dev/full")
def test_what_can_not_be_printed_is_said_once_all_is_done(command: Command, source: Path) -> None:
    ended = through(command, '"$@" >/dev/full', "apply", command.file(declared(source, OLD13)), "--root", "root", "-q")
    assert ended.sentence == "cannot write to standard output (No space left on device): redirect it; the command itself is done"
    assert in_use(command) == OLD13


def test_letters_that_the_output_does_not_have(upgraded: Command) -> None:
    build = next(path for path in (upgraded.folder / "root").glob("cpython-*+*") if not path.is_symlink())
    (build / "lib" / os.fsdecode(b"caf\xe9-\xe2\x82\xac.py")).touch()
    ended = upgraded("verify", "--root", "root", environment={"PYTHONIOENCODING": "latin-1"})
    assert "/lib/caf" in ended.output
    assert (ended.code, ended.errors) == (0, "")


def test_status_and_verify(upgraded: Command) -> None:
    status = upgraded("status", "--root", "root")
    assert status.code == 0
    head, columns, *rows, looked = status.output.splitlines()
    compares = "`standalone-python verify --root root` compares every file"
    assert looked == f"a quick look found no damage; never checked in full: {compares}"
    assert head.endswith(f"builds in {upgraded.folder}/root, links in {upgraded.folder}/root/bin")
    assert columns.split() == [
        "version",
        "release",
        "variant",
        "flavor",
        "installed",
        "state",
        "newer",
        "advisories",
        "in",
        "use",
        "as",
    ]
    # The build has a mark such as "2 critical".
    assert [[*row.split()[:2], row.split()[5], row.split()[8], row.split()[-1]] for row in rows] == [
        [V13, OLD, "sound", "critical", "-"],
        [V13LATER, NEWER, "sound", "critical", "cpython-3.13"],
    ]
    assert upgraded("verify", "--root", "root").code == 0
    today = datetime.now(UTC).date().isoformat()
    checked = upgraded("status", "--root", "root").output.splitlines()[-1]
    assert checked == f"a quick look found no damage; not checked in full since {today}: {compares}"
    (module,) = (upgraded.folder / "root").glob(f"cpython-{LATER13}*/lib/python3.13/json/decoder.py")
    module.write_text(module.read_text() + "# altered\n")
    (module.parent / "mine.py").write_text("")
    assert upgraded("status", "--root", "root").code == 0
    verified = upgraded("verify", "--root", "root")
    assert verified.code == 2
    assert "is broken: its files differ from what was installed: lib/python3.13/json/decoder.py\n" in verified.output
    assert "added after the install: " in verified.output
    told = upgraded("verify", "--root", "root", "--json")
    assert told.code == 2
    assert [one["sound"] for one in json.loads(told.output)["interpreters"]] == [True, False]
    assert len(json.loads(told.output)["damage"]) == 1


def test_what_verify_found_is_known_until_the_repair(upgraded: Command, source: Path) -> None:
    """As the first user of it met it: ``verify`` finds damage, and ``status`` right after it says the same."""
    (module,) = (upgraded.folder / "root").glob(f"cpython-{LATER13}*/lib/python3.13/json/decoder.py")
    sound = module.read_text()
    module.write_text(f"{sound}# altered\n")
    file = upgraded.file(declared(source, "3.13", root=str(upgraded.folder / "root")))
    assert upgraded("plan", file).code == 0
    assert upgraded("plan", file, "--verify", "full").code == 2
    # Who may not write to the root can check all the same, and hears that nobody will know.
    module.parents[4].chmod(0o555)
    ended = upgraded("verify", "--root", "root", runner=another_user())
    assert (ended.code, "the result of this check is not recorded, so `status` does not know it: " in ended.errors) == (2, True)
    module.parents[4].chmod(0o755)
    before = upgraded("status", "--root", "root", "--json").output
    assert upgraded("verify", "--root", "root").code == 2
    words = "lib/python3.13/json/decoder.py (found by the full check of "
    for what in (upgraded("status", "--root", "root"), upgraded("plan", file)):
        assert words in what.output
    cure = upgraded("status", "-f", file).output.splitlines()[-1]
    assert cure == f"to repair it: `standalone-python apply --verify full --file {file}`"
    one = json.loads(upgraded("status", "--root", "root", "--json").output)["interpreters"][1]
    assert (one["sound"], one["checked_at"] != json.loads(before)["interpreters"][1]["checked_at"]) == (False, True)
    # Who restores the file, and lets it be checked, has nothing to repair.
    module.write_text(sound)
    assert upgraded("apply", file, "--verify", "full").output.startswith("nothing to do")
    assert upgraded("plan", file).code == 0
    # What is known is repaired by any run.
    module.write_text(f"{sound}# altered\n")
    assert upgraded("verify", "--root", "root").code == 2
    assert words in upgraded("apply", file).output
    assert module.read_text() == sound
    assert [one["sound"] for one in json.loads(upgraded("status", "--root", "root", "--json").output)["interpreters"]] == [
        True
    ] * 2


def test_names_that_a_machine_has_command_no_terminal(upgraded: Command, source: Path) -> None:
    (build,) = (upgraded.folder / "root").glob(f"cpython-{LATER13}*")
    (build / f"lib/python3.13/{HOSTILE}.py").touch()
    (upgraded.folder / "root/bin/python3.13").unlink()
    (upgraded.folder / "root/bin/python3.13").symlink_to(f"/elsewhere/{HOSTILE}")
    forced = json.dumps({"builds": ["3.13"], "source": str(source), "force": True})
    for what in (
        upgraded("verify", "--root", "root"),
        upgraded("plan", "-", "--root", "root", "--diff", given=forced),
        upgraded("plan", "-", "--root", "root", given=declared(source, "3.13")),
    ):
        for line in (what.output + what.errors).splitlines():
            check(line)
    printed = on_terminal(upgraded, "verify", "--root", "root")
    assert r"\x1b]52;c;" in printed
    assert "\x1b]" not in printed
    (extra,) = json.loads(upgraded("verify", "--root", "root", "--json").output)["interpreters"][1]["extra"]
    assert "\x1b]0;title" in extra


def test_verify_sees_a_link_that_leads_to_nothing_and_what_a_killed_run_left(upgraded: Command) -> None:
    (upgraded.folder / "root/cpython-3.12").symlink_to(f"cpython-{V12}+{OLD}-x86_64-unknown-linux-gnu-install_only_stripped")
    (upgraded.folder / "root/.standalone-python.staging").mkdir()
    verified = upgraded("verify", "--root", "root")
    assert verified.code == 2
    assert f"to do: remove the link {upgraded.folder}/root/cpython-3.12 to " in verified.output
    assert "to do: clear what an earlier run left: " in verified.output


def test_where_nothing_is(command: Command) -> None:
    for what in ("status", "verify"):
        ended = command(what, "--root", "root")
        assert (ended.code, ended.output.splitlines()[1]) == (0, "no interpreters are installed there")
    sentence = command("rollback", "--root", "root").sentence
    assert sentence == f"no build is installed in {command.folder}/root, so there is nothing to roll back: install one first"
    ended = command("remove", "3.13", "--root", "root")
    assert ended.output == f"nothing to do: no interpreters are installed in {command.folder}/root\n"
    assert below(command.folder) == set()


def test_rollback(upgraded: Command, source: Path) -> None:
    before = below(upgraded.folder)
    tried = upgraded("rollback", "3.13", "--root", "root", "--dry-run")
    assert tried.code == 2
    assert in_use(upgraded) == LATER13
    done = upgraded("rollback", "3.13", "--root", "root")
    assert done.code == 0, done
    link = f"{upgraded.folder}/root/cpython-3.13 to {OLD13} instead of {LATER13}"
    assert tried.output.splitlines()[:2] == [f"Would link {link}", "Plan: 1 link to change, 0 to remove."]
    assert re.sub(r" in [0-9.]+ s$", "", done.output.splitlines()[0]) == f"Linked {link}"
    assert done.output.splitlines()[2] == (
        f"{OLD13} is in use instead of {LATER13}; a declaration with state: latest would upgrade it again: "
        f"to keep it, declare {OLD13}"
    )
    assert in_use(upgraded) == OLD13
    assert below(upgraded.folder) == before, "nothing comes and nothing goes"
    sentence = upgraded("rollback", "--root", "root").sentence
    assert sentence.startswith(f"no build of 3.13 was in use before {OLD13} in ")
    assert f"the other builds of the line are {LATER13}; declare the one" in sentence
    for state, build in (("present", OLD13), ("latest", LATER13)):
        assert upgraded("apply", "-", "--root", "root", given=declared(source, "3.13", state=state)).code == 0
        assert in_use(upgraded) == build, "a declaration of the line stays, unless it asks for the latest"


def test_rollback_keeps_the_links_that_the_line_has(upgraded: Command, source: Path) -> None:
    given = json.dumps({"builds": [{"version": "3.13", "default": True}], "externally_managed": False})
    assert upgraded("apply", "-", "--root", "root", "--source", source, given=given).code == 0
    before = below(upgraded.folder)
    ended = upgraded("rollback", "3.13", "--root", "root", "--json")
    assert ended.code == 0, ended
    assert len(json.loads(ended.output)["plan"]) == 1, "one link"
    assert below(upgraded.folder) == before
    assert (upgraded.folder / "root/bin/python3").exists()


def test_rollback_passes_over_what_is_broken(upgraded: Command) -> None:
    (old,) = (upgraded.folder / "root").glob(f"cpython-{OLD13}*")
    (old / "bin/python3.13").unlink()
    sentence = upgraded("rollback", "3.13", "--root", "root").sentence
    assert f"every earlier build of 3.13 in {upgraded.folder}/root is broken, {OLD13} (its executable is missing)" in sentence


@pytest.mark.parametrize(
    ("line", "says"), [("3.13.1", "is not a line"), ("3.12", "no build of 3.12 is in use"), ("x", "can't be read")]
)
def test_no_line_to_roll_back(upgraded: Command, line: str, says: str) -> None:
    assert says in upgraded("rollback", line, "--root", "root").sentence
    assert in_use(upgraded) == LATER13


def test_a_build_in_use(upgraded: Command) -> None:
    (python,) = (upgraded.folder / "root").glob(f"cpython-{OLD13}*/bin/python3")
    with subprocess.Popen([python, "-c", "input()"], stdin=subprocess.PIPE) as process:
        status = upgraded("status", "--root", "root").output
        assert re.search(
            rf"^runs an older build: \S+ \(pid {process.pid}, user \S+\), from cpython-{re.escape(OLD13)}-", status, re.M
        )
        tried, done = (upgraded("remove", OLD13, "--root", "root", *options) for options in (("-n",), ()))
        assert (tried.code, done.code, tried.output) == (0, 0, done.output)
        assert done.output == f"nothing to do: {python.parent.parent.name} is in use\n"
        assert f"{python.parent.parent} is in use and stays: " in done.errors
        assert python.exists()
        process.communicate(b"\n", timeout=20)
    assert upgraded("remove", OLD13, "--root", "root").output.startswith(f"Removed {OLD13}")
    assert not python.exists()


def test_remove(upgraded: Command) -> None:
    tried = upgraded("remove", OLD13, "--root", "root", "-n")
    assert tried.code == 2
    done = upgraded("remove", OLD13, "--root", "root")
    assert tried.output == f"Would remove {OLD13}: {OLD13} is declared absent\nPlan: 1 to remove.\n"
    assert done.code == 0
    said = f"Removed {OLD13}: {OLD13} is declared absent\nDone: 1 removed.\n"
    assert re.sub(r" in [0-9.]+ s(?=:)", "", done.output) == said
    assert in_use(upgraded) == LATER13
    assert upgraded("remove", "3.13", "3.12", "--root", "root").code == 0
    assert list((upgraded.folder / "root").glob("cpython-*")) == []
    assert "can't be read" in upgraded("remove", "thirteen", "--root", "root").sentence


def test_a_target_is_what_this_machine_can_run(upgraded: Command, source: Path) -> None:
    def plan(triple: str, request: str = "3.13") -> str:
        return upgraded("plan", "-", "--root", "root", "--target", triple, given=declared(source, request)).sentence

    assert "unknown target `x86`: write one like" in plan("x86")
    assert "can't be installed on this machine, as each is started once: a build for it is for aarch64 linux" in plan(
        "aarch64-unknown-linux-gnu"
    )
    assert "needs musl, and the host has glibc" in plan("x86_64-unknown-linux-musl")
    same = upgraded("plan", "-", "--root", "root", "--target", "x86_64-unknown-linux-gnu", given=declared(source, "3.13"))
    assert same.output == f"nothing to do: 3.13: {V13LATER} is installed\n"


def test_an_image_that_is_none(command: Command) -> None:
    for what in (("status",), ("rollback",), ("remove", "3.13")):
        assert "is not a folder" in command(*what, "--root-dir", "missing").sentence
        assert "--root-dir is empty" in command(*what, "--root-dir", "").sentence
        assert f"{command.folder}/missing is not a folder" in command(*what, "--root-dir", "~/missing").sentence


def test_no_colour_but_on_a_terminal(upgraded: Command) -> None:
    piped = upgraded("rollback", "--root", "root", "-n")
    assert "\x1b" not in piped.output + piped.errors
    assert "Would \x1b[36mlink\x1b[0m " in on_terminal(upgraded, "rollback", "--root", "root", "-n")
    assert "\x1b[1m" in on_terminal(upgraded, "status", "--root", "root")
    assert "\x1b" not in on_terminal(upgraded, "rollback", "--root", "root", "-n", NO_COLOR="1")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(command: Command, shell: str) -> None:
    ended = command(environment={"_STANDALONE_PYTHON_COMPLETE": f"{shell}_source"})
    assert (ended.code, ended.errors) == (0, "")
    assert "_STANDALONE_PYTHON_COMPLETE" in ended.output
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=ended.output, text=True, check=True)
        words = {"COMP_WORDS": "standalone-python ro", "COMP_CWORD": "1"}
        completed = command(environment={"_STANDALONE_PYTHON_COMPLETE": "bash_complete", **words})
        assert completed.output == "plain,rollback\n"


@pytest.mark.parametrize(
    "what", ["install", "upgrade", "uninstall", "plan", "apply", "status", "verify", "rollback", "catalogue"]
)
def test_help_teaches(command: Command, what: str) -> None:
    ended = command(what, "--help")
    assert ended.code == 0
    assert what in command("--help").output
    assert len(ended.output.splitlines()) > 10


def test_a_lock_file_on_the_command_line(command: Command, source: Path) -> None:
    """As where one declaration serves machines that are locked differently; it wins over the one of the file."""
    declared = command.file(f"builds: ['3.13']\nsource: {source}\nroot: {command.folder}/root\nlockfile: nowhere.json\n")
    exact = command.file(f"builds: ['3.13']\nsource: {source}\n", "exact/python.yml")
    locked = command("lock", exact, "--target", f"{os.uname().machine}-unknown-linux-gnu")
    assert locked.code == 0, locked
    assert "nowhere.json does not exist: create it with: standalone-python lock" in command("plan", declared).sentence
    planned = command("plan", declared, "--lockfile", "exact/python.lock.json")
    assert planned.code == 2, planned
    assert planned.output.startswith(f"Would install {V13LATER}+{NEWER}: ")
    assert "3.13 is locked to it" in planned.output


def test_links_in_the_root_itself(command: Command, source: Path) -> None:
    for expected in ("Installed", "nothing to do"):
        ended = command("apply", "-", "--root", "root", "--bin-dir", "root", given=declared(source, "3.13"))
        assert (ended.code, ended.output.startswith(expected)) == (0, True), ended
    said = subprocess.check_output([command.folder / "root/python3.13", "-I", "-c", "import sys; print(sys.prefix)"], text=True)
    assert said.strip() == f"{command.folder}/root/cpython-3.13"
    assert command("verify", "--root", "root", "--bin-dir", "root").code == 0
    assert command("remove", "3.13", "--root", "root", "--bin-dir", "root").code == 0
    assert os.listdir(command.folder / "root") == []


def test_a_source_whose_name_is_not_utf_8(command: Command, source: Path) -> None:
    folder = os.path.join(os.fsencode(command.folder), b"caf\xe9")
    os.symlink(source, folder)
    given = json.dumps({"builds": ["3.13"]}, ensure_ascii=True)
    ended = command("apply", "-", "-q", "--root", "root", "--source", os.fsdecode(folder), given=given)
    assert (ended.code, ended.errors) == (0, "")
    (receipt,) = (command.folder / "root").glob("cpython-*+*/.standalone-python/receipt.json")
    assert json.loads(receipt.read_text())["url"].startswith(rf"{command.folder}/caf\udce9/")


def test_of_eight_runs_at_once_one_installs(command: Command, source: Path, tmp_path: Path) -> None:
    """The others wait for it, look again, and find nothing left to do."""
    (tmp_path / "tools").mkdir()
    tar, log = tmp_path / "tools/tar", tmp_path / "log"
    tar.write_text(f"#!/bin/sh\necho unpacked >>'{log}'\nexec {program('tar')} \"$@\"\n")
    tar.chmod(0o755)
    environment = command.environment()
    environment["PATH"] = f"{tar.parent}:{environment.get('PATH', os.environ['PATH'])}"
    file = command.file(json.dumps({"builds": ["3.13"], "source": str(source)}))

    def start(root: str) -> subprocess.Popen[str]:
        arguments = [str(PROGRAM), "apply", str(file), "--root", root, "--json"]
        return subprocess.Popen(
            arguments, cwd=command.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )

    output, errors = start("alone").communicate(timeout=120)
    assert json.loads(output)["changed"], errors
    once = log.read_text()
    assert once
    running = [start("root") for _unused in range(8)]
    ended = [process.communicate(timeout=300) for process in running]
    assert [(process.returncode, errors) for process, (_output, errors) in zip(running, ended, strict=True)] == [(0, "")] * 8
    assert sorted(json.loads(output)["changed"] for output, _errors in ended) == [False] * 7 + [True]
    assert log.read_text() == once * 2
    assert command("verify", "--root", "root").code == 0


def test_status_says_that_it_compared_no_files(upgraded: Command) -> None:
    """A changed file is found by verify only: so status doesn't say that all is sound."""
    (library,) = (upgraded.folder / "root/cpython-3.13/lib").glob("python3.*")
    (library / "os.py").write_text("changed = True\n")
    said = upgraded("status", "--root", "root")
    assert "a quick look found no damage; never checked in full: " in said.output
    verified = upgraded("verify", "--root", "root")
    assert (verified.code, "os.py" in verified.output, "quick look" in verified.output) == (2, True, False)
