# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The script of a plan. Real shells run it, with the agents' functions replaced, and must pass on every word unchanged."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents import sh
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import Build
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.request import Version
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import DeclarationError, StandalonePythonError
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import Desired, OfflineImage
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.plan import plan
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.receipt import Finish
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.step import (
    ABSENT,
    Clear,
    Confirm,
    Install,
    Plan,
    Remove,
    Seen,
    SetLink,
    Step,
    Unlink,
    touched,
)
from tests.tools.planning import build_of, name_of, resolver
from tests.tools.random_hosts import Situation, situations

AGENTS = Path(str(sh.__file__)).with_name("on_host")
SHELLS = {
    name: command
    for name, command in {
        "sh": ["sh"],
        "dash": ["dash"],
        "bash": ["bash", "--posix"],
        "busybox": ["busybox", "sh"],
        "mksh": ["mksh"],
    }.items()
    if shutil.which(command[0])
}
shell = pytest.mark.parametrize("command", SHELLS.values(), ids=SHELLS.keys())
BUILD = build_of("3.13.1+20250115")

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs POSIX: shells")

# Whatever a user can write: everything but what no shell's text can hold.
anything = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30) | st.sampled_from(
    ("", "'", "''", '"', "$HOME", "$(id)", "`id`", "\\", "\\'", "a b", " -> ", "\n", "a\nb", "*", "~", "#", "!", "-n", "é")
)
variables = st.from_regex(r"SP_[A-Z0-9_]{0,8}", fullmatch=True)

# Instead of the agents' own functions: how many words they were called with, and the words, each ended by what no word has in it.
SPY = "told() { printf '%s\\0' $# \"$@\"; }\n" + "".join(
    f'{name}() {{ told {name} "$@"; }}\n'
    for name in (
        "is_unchanged",
        "can_make_links",
        "start_build",
        "unpack_pushed",
        "unpack_pulled",
        "finish_build",
        "require_unchanged",
        "commit_build",
        "link",
        "unlink",
        "remove",
        "remove_unused",
        "announce",
    )
)


def run(script: str, command: Sequence[str] = ("sh",)) -> list[list[str]]:
    """What a script told, as lists of words."""
    done = subprocess.run([*command, "-s"], input=script.encode(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert not done.stderr, done.stderr.decode()
    words = done.stdout.decode().split("\0")
    assert words.pop() == ""
    told: list[list[str]] = []
    while words:
        count = int(words.pop(0))
        told.append([words.pop(0) for _ in range(count)])
    return told


def spied(script: str, *calls: str) -> str:
    """The script with the agents' work taken out of it: only this plan's calls are left."""
    body, end = script[: script.rindex("apply </dev/null\n")], script[script.rindex("apply </dev/null\n") :]
    assert end == "apply </dev/null\n"
    return body + SPY + "".join(f"{call}\n" for call in calls)


def pushed(build: Build) -> sh.Pushed:
    return sh.Pushed(f"/tmp/x/{build.name}", "ab" * 32, "zst", 1234, "https://mirror.example/x", "cd" * 32, 78, "yes", 56)


def calls(found: Plan) -> list[list[str]]:
    """What the agents must be told to carry out a plan, apart from the finisher's arguments."""
    seen = dict(found.seen) | {at: found.seen.get(at, ABSENT) for step in found.steps if (at := touched(step))}
    told = [["is_unchanged", at, what.kind, what.text] for at, what in seen.items()]
    told += [["announce", f"done={number}"] for number, step in enumerate(found.steps, 1) if isinstance(step, Clear)]
    folders = dict.fromkeys(step.path.rpartition("/")[0] for step in found.steps if isinstance(step, SetLink))
    told += [["can_make_links", folder] for folder in folders]
    for step in found.installs:
        told += [
            ["start_build", step.build.name],
            ["unpack_pushed", f"/tmp/x/{step.build.name}", "ab" * 32, "zst", "1234", "78", "56"],
            ["finish_build"],
        ]
    for number, any_step in enumerate(found.steps, 1):
        if at := touched(any_step):
            told.append(["require_unchanged", at, seen[at].kind, seen[at].text])
        match any_step:
            case Install(build):
                told.append(["commit_build", build.name])
            case SetLink(path, to):
                told.append(["link", path, to])
            case Unlink(path):
                told.append(["unlink", path])
            case Remove(name, _reason, unless_used):
                told.append(["remove_unused" if unless_used else "remove", name])
        told += [] if isinstance(any_step, Clear) else [["announce", f"done={number}"]]
    return told


@settings(max_examples=60)
@given(situations())
def test_every_plan_arrives_as_it_is(situation: Situation) -> None:
    try:
        found = plan(situation.desired, situation.observed, resolver(situation.filenames))
    except StandalonePythonError:
        return
    deliveries = {step.build.name: pushed(step.build) for step in found.installs}
    script = sh.application(situation.desired, found, deliveries)
    told = run(spied(script, "premises", "prepare", "commit"))
    assert [words[:1] if words[0] == "finish_build" else words for words in told] == calls(found)


@shell
@settings(max_examples=25)
@given(data=st.data())
def test_all_texts_arrive_unchanged(command: Sequence[str], data: st.DataObject) -> None:
    draw = data.draw
    kinds = ("root", "bin_dir", "token", "owner", "path", "to", "name", "url", "file")
    texts = {name: draw(anything, label=name) for name in kinds}
    environment = draw(st.dictionaries(variables, anything, max_size=3), label="environment")
    desired = Desired(
        builds=(),
        root=texts["root"],
        bin_dir=texts["bin_dir"],
        delivery="pull",
        finish=Finish(owner=texts["owner"]),
    )
    build = Build(Version(3, 13, 1), "20250115", texts["name"], "", "full", texts["file"])
    steps: tuple[Step, ...] = (
        Clear((texts["path"],)),
        Install(build, "install", texts["name"]),
        SetLink(texts["path"], texts["to"], texts["name"]),
        Unlink(texts["path"], texts["to"]),
        Remove(texts["name"], "reason"),
    )
    delivery = sh.Pulled((texts["url"], texts["url"]), "gz", "python", texts["url"], "ab", texts["token"])
    was = {texts["path"]: Seen("link", texts["to"]), texts["name"]: Seen("build", texts["owner"])}
    script = sh.application(desired, Plan(steps, (), was), {build.name: delivery}, environment)
    links, builds = (
        [["require_unchanged", at, was[at].kind, was[at].text]] if at else [] for at in (texts["path"], texts["name"])
    )
    names = ["root", "bin_dir", "token", "owner", *environment]
    told = run(spied(script, "prepare", "commit", *(f'told "${name}"' for name in names)), command)
    assert [words for words in told if words[0] == "announce"] == [["announce", f"done={number}"] for number in (1, 2, 3, 4, 5)]
    told = [words for words in told if words[0] != "announce"]
    finishing = told.pop(3)
    assert told == [
        ["can_make_links", texts["path"].rpartition("/")[0]],
        ["start_build", build.name],
        ["unpack_pulled", "ab", "gz", "python", texts["url"], texts["url"]],
        ["require_unchanged", build.name, "absent", ""],
        ["commit_build", build.name],
        *links,
        ["link", texts["path"], texts["to"]],
        *links,
        ["unlink", texts["path"]],
        *builds,
        ["remove", texts["name"]],
        *([value] for value in (texts["root"], texts["bin_dir"], texts["token"], texts["owner"], *environment.values())),
    ]
    assert {f"triple={texts['name']}", f"url={texts['url']}", f"owner={texts['owner']}"} <= set(finishing)


@settings(max_examples=25)
@given(st.dictionaries(variables, anything, min_size=1, max_size=4))
def test_the_environment_reaches_what_the_script_starts(environment: Mapping[str, str]) -> None:
    script = sh.observation(Desired(builds=()), facts="no", environment=environment)
    script = script[: script.rindex("observe </dev/null")] + "env -0\n"
    done = subprocess.run(["sh", "-s"], input=script.encode(), capture_output=True, check=True)
    assert {f"{name}={value}" for name, value in environment.items()} <= set(done.stdout.decode().split("\0"))


@pytest.mark.parametrize("name", ["", "a b", "1A", "A-B", "A=B", "x;id", "É", "A\n"])
def test_names_that_no_shell_takes(name: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        sh.observation(Desired(builds=()), facts="no", environment={name: "x"})
    assert str(caught.value) == f"the environment has the name {name!r}, which no shell takes: use letters, digits and _"


def test_the_environment_can_not_set_what_the_agents_are_told() -> None:
    environment = {"root": "/elsewhere", "facts": "yes", "verify": "full", "bin_dir": "/x"}
    script = sh.observation(Desired(builds=()), facts="no", environment=environment)
    script = script[: script.rindex("observe </dev/null")] + SPY + 'told "$root" "$facts" "$verify" "$bin_dir"\n'
    assert run(script) == [["/opt/python", "no", "quick", "/usr/local/bin"]]


# What the finisher is told.


def test_the_finishers_arguments() -> None:
    finish = Finish(externally_managed=False, compile_bytecode=True, owner="app", group="staff", mode="0750")
    steps = Plan((Install(BUILD, "install", "reason"),), ())
    script = sh.application(Desired(builds=(), finish=finish), steps, {BUILD.name: pushed(BUILD)})
    assert run(spied(script, "prepare"))[-1] == [
        "finish_build",
        "version=3.13.1",
        "release=20250115",
        "triple=x86_64-unknown-linux-gnu",
        "options=",
        "flavor=install_only_stripped",
        f"filename={BUILD.name}.tar.gz",
        f"sha256={'cd' * 32}",
        "url=https://mirror.example/x",
        "externally_managed=0",
        "compile_bytecode=1",
        "patch_sysconfig=1",
        f"modules={sh.MODULES}",
        "owner=app",
        "group=staff",
        "mode=0750",
        "certificates=build",
        f"tool={sh.TOOL}",
        "attested=yes",
    ]


# An image, from outside.


IMAGE = OfflineImage(
    root="/mnt/image/srv/python", bin_dir="/mnt/image/usr/local/bin", python="/usr/bin/python3", uid="4321", gid="4322"
)


def test_the_finisher_of_an_image_is_told_that_nothing_is_started() -> None:
    desired = Desired(builds=(), finish=Finish(owner="app", group="staff"), image=IMAGE)
    script = sh.application(desired, Plan((Install(BUILD, "install", "reason"),), ()), {BUILD.name: pushed(BUILD)})
    told = run(spied(script, "prepare"))[-1]
    assert {"owner=app", "group=staff", "started=0", "uid=4321", "gid=4322"} <= set(told)


def test_what_changes_in_an_image_is_named_where_it_lies() -> None:
    to = "/opt/python/cpython-3.13/bin/python3.13"
    steps = (SetLink("/usr/local/bin/python3.13", to), Unlink("/opt/python/cpython-3.12", "x"), Remove("cpython-x", "reason"))
    seen = {"/opt/python/cpython-3.12": Seen("link", "x"), "cpython-x": Seen("build", "its mark")}
    script = sh.application(Desired(builds=(), image=IMAGE), Plan(steps, (), seen), {})
    assert run(spied(script, "prepare")) == [["can_make_links", "/mnt/image/usr/local/bin"]]
    premises = [
        ["/mnt/image/usr/local/bin/python3.13", "absent", ""],
        ["/mnt/image/srv/python/cpython-3.12", "link", "x"],
        ["cpython-x", "build", "its mark"],
    ]
    assert sorted(run(spied(script, "premises"))) == sorted(["is_unchanged", *premise] for premise in premises)
    assert [words for words in run(spied(script, "commit")) if words[0] != "announce"] == [
        ["require_unchanged", *premises[0]],
        ["link", "/mnt/image/usr/local/bin/python3.13", to],
        ["require_unchanged", *premises[1]],
        ["unlink", "/mnt/image/srv/python/cpython-3.12"],
        ["require_unchanged", *premises[2]],
        ["remove", "cpython-x"],
    ]


@shell
@pytest.mark.parametrize(
    ("triple", "release", "bytecode", "files"),
    [
        ("x86_64-unknown-linux-gnu", "20250115", False, [*sh.FINISHER, "paths.py"]),
        ("aarch64-apple-darwin", "20251209", False, [*sh.FINISHER, "paths.py"]),
        ("x86_64-apple-darwin", "20251202", False, [*sh.FINISHER, "paths.py", "macho.py"]),
        ("x86_64-unknown-linux-gnu", "20250115", True, [*sh.FINISHER, "paths.py", "bytecode.py"]),
    ],
)
def test_the_finisher_arrives_whole(
    command: Sequence[str], triple: str, release: str, bytecode: bool, files: list[str], tmp_path: Path
) -> None:
    """Install names of libraries are of no concern elsewhere than on macOS, nor there in later builds."""
    build = replace(BUILD, triple=triple, release=release)
    desired = Desired(builds=(), finish=Finish(compile_bytecode=bytecode))
    script = sh.application(desired, Plan((Install(build, "install", "reason"),), ()), {build.name: pushed(build)})
    body = script[: script.rindex("apply </dev/null\n")]
    subprocess.run([*command, "-s"], input=f"{body}finisher '{tmp_path}'\n".encode(), capture_output=True, check=True)
    arrived = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert arrived.pop(f"{build.name}.cdx").startswith(b"{")
    assert arrived == {name: sh.module(name).encode() for name in files}


class WithoutDocstrings(ast.NodeTransformer):
    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        return ast.Pass() if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str) else node


def code_of(text: str) -> str:
    return ast.dump(WithoutDocstrings().visit(ast.parse(text)))


@pytest.mark.parametrize("path", sorted(AGENTS.glob("*.py")), ids=lambda path: path.name)
def test_what_is_sent_of_a_python_file_is_all_of_its_code(path: Path) -> None:
    """And neither comments nor docstrings, a quarter of what an install sends."""
    sent = sh.module(path.name)
    assert code_of(sent) == code_of(path.read_text(encoding="utf-8"))
    assert not any(line.lstrip().startswith("#") for line in sent.splitlines())
    assert {ast.get_docstring(node) for node in ast.walk(ast.parse(sent)) if isinstance(node, ast.FunctionDef)} <= {None, ""}


CALLED = r"(?m)(?:^|[;&|({{!]|\b(?:then|do|else|if|elif|while|until|or|try [a-z]+))\s*(?:! )?({names})(?![\w)=.-])"


@pytest.mark.parametrize(
    ("steps", "delivery"),
    [
        ((Install(BUILD, "install", "why"),), pushed(BUILD)),
        ((Install(BUILD, "install", "why"),), sh.Pulled(("https://x/y",), "gz", "python", "", "ab")),
        ((Install(BUILD, "repair", "why", moved="/old"),), sh.Own("/old", "ab", "", "ab")),
        ((Confirm(BUILD.name),), None),
        ((SetLink("/x/cpython-3.13", "cpython-x"), Unlink("/x/y", "z"), Remove("cpython-x", "why")), None),
    ],
    ids=["push", "pull", "own", "confirm", "links"],
)
def test_a_script_has_every_function_that_it_calls(steps: tuple[Step, ...], delivery: sh.Delivery | None) -> None:
    """Files of the agent are sent only where a plan needs them."""
    # These are only in scripts for hosts without a controller.
    texts = "".join(path.read_text(encoding="utf-8") for path in AGENTS.glob("*.sh") if path.stem not in ("script", "short"))
    names = "|".join({*re.findall(r"(?m)^(\w+)\(\)", texts), "premises", "prepare", "commit", "finisher"})
    script = sh.application(Desired(builds=()), Plan(steps, ()), {BUILD.name: delivery} if delivery else {})
    called = set(re.findall(CALLED.format(names=names), script))
    assert called - set(re.findall(r"(?m)^(\w+)\(\)", script)) <= {"host_facts", "tell_history", "tell_processes"}, (
        "which facts, the history or processes bring"
    )
    assert len(called) > 60


def test_what_a_plan_does_not_need_is_not_sent() -> None:
    script = sh.application(Desired(builds=()), Plan((Unlink("/x", "y"),), ()), {})
    for call in ("unpack_pushed", "finisher_run", "download"):
        assert f"{call}()" not in script


def test_the_finisher_is_sent_only_where_something_is_installed() -> None:
    finisher = (AGENTS / "finish.py").read_text(encoding="utf-8").splitlines()[-1]
    assert finisher not in sh.application(Desired(builds=()), Plan((Unlink("/x", "y"),), ()), {})


# Tokens.


def application(desired: Desired) -> str:
    delivery: sh.Delivery = pushed(BUILD)
    if desired.delivery == "pull":
        url = "https://mirror.example/x"
        delivery = sh.Pulled((url,), "gz", "python", url, "ab", desired.token)
    return sh.application(desired, Plan((Install(BUILD, "install", "reason"),), ()), {BUILD.name: delivery})


def test_a_token_is_for_pull_only() -> None:
    pull, push = Desired(builds=(), token="s3cret", delivery="pull"), Desired(builds=(), token="s3cret")
    assert "s3cret" not in application(push)
    for desired in (pull, push):
        assert "s3cret" not in sh.observation(desired, facts="yes")
    # Once, as an assignment in the text of the script. Exported it would stand in the environment of every program.
    assert re.findall(".*s3cret.*", application(pull)) == ["token=s3cret"]


@pytest.mark.parametrize("program", ["curl", "wget"])
def test_a_token_is_on_no_command_line(program: str, tmp_path: Path) -> None:
    """The download as the agent really starts it, with a program that notes how it was called."""
    for name in ("sed", "cat", "rm", "mkdir", "env"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    (tmp_path / program).write_text(
        f'#!/bin/sh\n[ "$1" != --version ] || {{ echo GNU Wget 1.21; exit; }}\nprintf "%s\\n" "$0" "$@" >{tmp_path}/arguments\n'
        f'env >{tmp_path}/environment\ncat >{tmp_path}/input; cp "$WGETRC" {tmp_path}/wgetrc 2>/dev/null; exit 0\n'
    )
    (tmp_path / program).chmod(0o755)
    body = application(Desired(builds=(), token="s3cret", delivery="pull"))
    body = body[: body.rindex("apply </dev/null\n")]
    script = f"{body}here={tmp_path}\ndownload https://mirror.example/x {tmp_path}/archive\n"
    subprocess.run(["/bin/sh", "-s"], input=script.encode(), env={"PATH": str(tmp_path)}, check=True, capture_output=True)
    arguments = (tmp_path / "arguments").read_text()
    assert "mirror.example" in arguments + (tmp_path / "input").read_text()
    assert "s3cret" not in arguments
    assert "s3cret" not in (tmp_path / "environment").read_text()


# What may stand in a script.

WRITING = r"rm|rmdir|mv|ln|cp|mkdir|touch|tee|chmod|chown|chgrp|dd|install|mktemp|mkfifo|truncate|tar|unzip|restorecon|kill -[^0]"


@pytest.mark.parametrize("facts", ["no", "yes"])
def test_an_observation_has_no_writing_command(facts: sh.Facts) -> None:
    script = sh.observation(Desired(builds=()), facts=facts)
    found = re.findall(rf"(?:^|[;&|(`{{]|\bthen|\bdo|\belse|\btry \w+)\s*((?:{WRITING})\s.*)", script, flags=re.MULTILINE)
    assert found == []
    # A comment at a line's end, and "->" in a pattern, are no redirection.
    redirected = re.findall(r"(?<!-)>>?\s*(?!&)([^\s;)\"]+)", re.sub(r"\s# .*|'[^'\n]*'", "", script))
    assert set(redirected) <= {"/dev/null"}


def test_an_observation_for_a_host_in_order_asks_for_nothing_more() -> None:
    short = sh.observation(Desired(builds=()), facts="no")
    long = sh.observation(Desired(builds=()), facts="yes")
    assert len(short) < len(long)
    for program in ("uname -s", "sysctl", "getconf", "free_kb"):
        assert program in long
        assert program not in short


@shell
@pytest.mark.parametrize("facts", ["no", "yes"])
def test_every_shell_reads_it(command: Sequence[str], facts: sh.Facts) -> None:
    steps = Plan((Install(BUILD, "install", "reason"), SetLink("/a", "b"), Unlink("/c", "d"), Remove("e", "f")), ())
    for script in (
        sh.observation(Desired(builds=()), facts=facts),
        sh.application(Desired(builds=()), steps, {BUILD.name: pushed(BUILD)}),
        sh.application(Desired(builds=()), Plan((Clear(("/x",)),), ()), {}),
        sh.remembering("/opt/python", {BUILD.name: "it's"}),
    ):
        done = subprocess.run([*command, "-n"], input=script.encode(), capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b"")


@shell
def test_taking_the_comments_out_changes_nothing(command: Sequence[str], tmp_path: Path) -> None:
    """The agents as they are sent, and as they stand in their files, observe the same."""
    root = tmp_path / "root"
    build = root / name_of("3.13.1+20250115")
    (build / ".standalone-python").mkdir(parents=True)
    (root / "cpython-3.13").symlink_to(build.name)
    desired = Desired(builds=(), root=str(root), bin_dir=str(tmp_path / "bin"))
    settings = f"root={root}\nbin_dir={tmp_path}/bin\nverify=quick\nfacts=yes\n"
    parts = ("observe.sh", "trust.sh", "unusual.sh", "lock.sh", "disk.sh", "facts.sh")
    whole = settings + "".join((AGENTS / part).read_text(encoding="utf-8") for part in parts) + "observe </dev/null\n"
    answers = []
    for script in (whole, sh.observation(desired, facts="yes")):
        done = subprocess.run([*command, "-s"], input=script, text=True, capture_output=True, check=True)
        answers.append(re.sub("free_.*=.*", "", done.stdout))
    assert answers[0] == answers[1]
    assert f"build={build.name}" in answers[0]
