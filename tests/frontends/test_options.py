# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the Ansible module and keywords of its tasks, on real hosts: where builds come from and what comes of them."""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.frontends.support import (
    AS_IT_WAS,
    INFO,
    LATER13,
    OLD12,
    OLD13,
    TRIPLE,
    aliases,
    as_it_was,
    attempts,
    complaint,
    line,
    name,
    play,
    processes,
    python_says,
    reads,
    task,
    told,
)
from tests.tools.hosts import Host
from tests.tools.hosts.fixtures import FreshHost
from tests.tools.playbook import REPOSITORY, Run, TaskResult, run_play
from tests.tools.sources import NEWER, OLD, lay_out
from tests.tools.web import PASSWORD, TOKEN, Web, serve

pytestmark = pytest.mark.xdist_group("hosts")

FILE13 = f"{name(LATER13)}.tar.gz"
Secrets = tuple[Run, Mapping[str, TaskResult], Mapping[str, Host]]
MIRROR = "http://mirror.invalid/plain"


def receipts(host: Host, root: str) -> str:
    return "".join(path.read_text() for path in (host.root / root[1:]).glob("*/.standalone-python/receipt.json"))


@pytest.mark.parametrize("kind", ["macish", "busybox"])
def test_pull(kind: str, fleet: Mapping[str, Host], catalogue: Path, web: Web, tmp_path: Path) -> None:
    """With curl and with wget; the receipt says where from. The controller fetches nothing."""
    host, root = fleet[kind], str(tmp_path / "root")
    declared = {"builds": ["3.12"], "source": web.url(), "catalogue": str(catalogue), "root": root, "delivery": "pull"}
    run = play(host, task(**declared), task(**declared))
    assert [(result.kind, result.result.get("changed")) for result in run.results] == [("ok", True), ("ok", False)], run.output
    assert web.count("plain") == 1
    assert web.asked[0].headers["user-agent"].lower().startswith("curl" if kind == "macish" else "wget")
    assert f"{web.url()}/{OLD}/" in receipts(host, root)
    assert python_says(host, f"{root}/bin/python3.12", "import sys; print(sys.prefix)") == f"{root}/cpython-3.12"


@pytest.fixture(scope="module")
def secrets(fleet: Mapping[str, Host], source: Path, catalogue: Path, tmp_path_factory: pytest.TempPathFactory) -> Secrets:
    """Tokens and passwords in every way that they are given, with all that Ansible can be made to print."""
    curl, wget = fleet["macish"], fleet["busybox"]
    folder = tmp_path_factory.mktemp("secrets")
    one = {"builds": ["3.12"], "catalogue": str(catalogue)}
    with serve(source) as web:
        token = {**one, "source": web.url("token"), "token": TOKEN}
        basic = {**one, "source": web.url("basic", user=f"someone:{PASSWORD}")}
        declared: dict[str, dict[str, Any]] = {
            "push-token": token,
            "pull-token": {**token, "delivery": "pull"},
            "push-password": basic,
            "pull-password": {**basic, "delivery": "pull"},
            "wrong-token": {**token, "token": f"not-{TOKEN}"},
            "wrong-token-pull": {**token, "token": f"not-{TOKEN}", "delivery": "pull"},
            "wget-token": {**token, "delivery": "pull"},
            "wget-password": {**basic, "delivery": "pull"},
        }
        declared = {case: {"root": str(folder / case), **options} for case, options in declared.items()}
        lines = {case: aliases(wget if case.startswith("wget") else curl, [case])[case] for case in declared}
        run, results = attempts(declared, lines, folder / "caches", arguments=["-vvvv"])
    return run, results, {case: wget if case.startswith("wget") else curl for case in declared}


def test_secrets_open_the_door(secrets: Secrets) -> None:
    run, results, hosts = secrets
    opened = {case for case, result in results.items() if result.kind == "ok" and result.result["changed"]}
    assert opened == {"push-token", "pull-token", "push-password", "pull-password"}, run.output
    for case in opened:
        root = results[case].result["root"]
        receipt = receipts(hosts[case], root)
        assert "/20250115/" in receipt
        assert PASSWORD not in receipt
        assert TOKEN not in receipt


def test_secrets_are_never_shown(secrets: Secrets) -> None:
    run = secrets[0]
    assert "EXEC" in run.output
    assert set(re.findall(r"standalone\.python: GET http://127\.0\.0\.1:[0-9]+/token/\S+: ([0-9]+)", run.output)) == {
        "200",
        "401",
    }
    assert TOKEN not in run.output
    assert PASSWORD not in run.output


NOT_FETCHED = f"{name(OLD12)}.tar.gz could not be downloaded: http://127.0.0.1:…/token/{OLD}/… "
DENIED = {
    "wrong-token": f"{NOT_FETCHED}answered 401 Unauthorized; check the token or the password, and what it may read",
    "wrong-token-pull": f"downloading {name(OLD12)} failed: the host could not download it (http://127.0.0.1:…/token/…401…): let it reach "
    f"the source, or use delivery: push{AS_IT_WAS}",
    **dict.fromkeys(
        ("wget-token", "wget-password"),
        "the host has only a wget that takes a token, password or query on its command line, where others could read it: "
        f"install curl, or use delivery: push{AS_IT_WAS}",
    ),
}


@pytest.mark.parametrize("case", DENIED)
def test_secrets_that_do_not_fit(case: str, secrets: Secrets) -> None:
    run, results, _hosts = secrets
    reads(told(run, results[case]), DENIED[case])


def test_a_token_is_on_no_command_line(fleet: Mapping[str, Host], catalogue: Path, web: Web, tmp_path: Path) -> None:
    """Looked at in the middle of a download, when everything that ever runs is running."""
    host = fleet["macish"]
    options = {"source": web.url("token-slow"), "catalogue": str(catalogue), "root": str(tmp_path / "root"), "delivery": "pull"}
    runs: list[Run] = []
    running = threading.Thread(target=lambda: runs.append(play(host, task(builds=["3.12"], token=TOKEN, **options))))
    running.start()
    assert web.half.wait(60)
    words = [words for _number, words in processes(host)]
    web.going.set()
    running.join()
    assert runs[0].of().kind == "ok", runs[0].output
    assert any(line.startswith("curl ") for line in words), words
    assert not any(TOKEN in line for line in words)


@pytest.mark.parametrize(("kind", "delivery"), [("macish", "pull"), ("busybox", "pull"), ("busybox", "push")])
def test_proxy_of_the_environment(
    kind: str, delivery: str, fleet: Mapping[str, Host], catalogue: Path, web: Web, tmp_path: Path
) -> None:
    """The task's environment says how to get out, to the host that pulls and to the controller that pushes."""
    declared = task(builds=["3.12"], source=MIRROR, catalogue=str(catalogue), root=str(tmp_path / "root"), delivery=delivery)
    proxy = {"http_proxy": web.url("").rstrip("/"), "STANDALONE_PYTHON_CACHE": str(tmp_path / "cache")}
    run = play(fleet[kind], {**declared, "environment": proxy})
    assert run.of().kind == "ok", run.output
    assert [asked.proxied for asked in web.asked] == ["mirror.invalid"]


def test_the_environment_is_the_hosts(fresh_host: FreshHost, source: Path, tmp_path: Path) -> None:
    """What a task says of PATH and HOME is of the host; the controller finds its ssh and its cache where they are."""
    host = fresh_host("busybox")
    assert host.exec(["ln", "-s", "/bin", "/tools"]).returncode == 0
    there, here = str(tmp_path / "there"), tmp_path / "here"
    declared = {
        **task(builds=["3.12"], source=str(source)),
        "environment": {"PATH": "/tools", "HOME": there, "XDG_CACHE_HOME": there},
    }
    run = play(host, declared, environment={"STANDALONE_PYTHON_CACHE": "", "XDG_CACHE_HOME": str(here)})
    assert run.of().kind == "ok", run.output
    assert list(here.iterdir()) != []
    assert not Path(there).exists()


def test_one_archive_and_a_catalogue(fleet: Mapping[str, Host], source: Path, catalogue: Path, web: Web, tmp_path: Path) -> None:
    """An archive with its checksum needs no catalogue; a catalogue may be a path or a URL."""
    archive = source / NEWER / FILE13
    copy = tmp_path / FILE13
    copy.write_bytes(archive.read_bytes())
    checksum = hashlib.sha256(copy.read_bytes()).hexdigest()
    with serve(catalogue.parent) as rows:
        declared = {
            "archive": {"builds": ["3.13"], "source": str(copy), "checksum": f"sha256:{checksum}"},
            "path": {"builds": ["3.13"], "source": web.url(), "catalogue": str(catalogue)},
            "url": {"builds": ["3.13"], "source": web.url(), "catalogue": f"{rows.url()}/{catalogue.name}"},
        }
        declared = {case: {"root": str(tmp_path / case), **options} for case, options in declared.items()}
        run, results = attempts(declared, aliases(fleet["busybox"], declared))
    assert [result.result.get("changed") for result in results.values()] == [True] * 3, run.output
    made = [result.result["interpreters"][0] for result in results.values()]
    assert {(one["version"], one["release"], one["action"]) for one in made} == {("3.13.4", NEWER, "install")}


def test_one_download_for_many_hosts(fleet: Mapping[str, Host], catalogue: Path, web: Web, tmp_path: Path) -> None:
    """Three kinds of host in one play, side by side: the controller asks the mirror once, and sends what each can unpack."""
    kinds = ("busybox", "debian", "macish")
    declared = task(builds=["3.13"], source=web.url(), catalogue=str(catalogue), root=str(tmp_path / "root"))
    run = run_play(
        [declared], "".join(line(fleet[kind]) for kind in kinds), environment={"STANDALONE_PYTHON_CACHE": str(tmp_path / "cache")}
    )
    assert [(result.kind, result.result.get("changed")) for result in run.results] == [("ok", True)] * 3, run.output
    assert web.count("plain", "") == 1


def test_a_full_build(fleet: Mapping[str, Host], builds: Callable[..., Path], tmp_path: Path) -> None:
    """Compressed with zstd by upstream: it is sent so where the host has zstd, and as gzip where it has not."""
    archive = builds("3.13", flavor="full", options="freethreaded+pgo+lto")
    source = tmp_path / "source"
    lay_out(source, archive)
    hosts = {"busybox": ".tar.gz", "debianzst": ".tar.zst"}
    root = str(tmp_path / "root")
    wanted = [{"version": "3.13t", "default": True}]
    with serve(source) as web:
        run = run_play(
            [
                task(builds=wanted, source=str(source), root=root),
                {
                    **task(builds=wanted, source=web.url(), catalogue="{{ rows }}", root=f"{root}-pulled", delivery="pull"),
                    "when": "'busybox' in inventory_hostname",
                    "ignore_errors": True,
                },
            ],
            "".join(line(fleet[kind]) for kind in hosts),
            play={"vars": {"rows": str(rows_of(source, tmp_path / "rows.tsv"))}},
            arguments=["-vvv"],
        )
    for kind, ending in hosts.items():
        host = fleet[kind]
        installed, *_ = [result for result in run.results if result.host == host.name]
        assert installed.kind == "ok", run.output
        (made,) = installed.result["interpreters"]
        assert (made["flavor"], made["variant"]) == ("full", "freethreaded")
        assert f"{Path(made['prefix']).name}{ending}" in run.output
        assert f"<{host.name}> standalone.python: 3.13t is {Path(made['prefix']).name}: nothing installed" in run.output
        assert re.search(
            rf"<{host.name}> standalone\.python: apply: a script of [0-9]+ letters to the host: [0-9.]+ s", run.output
        )
        assert python_says(host, f"{root}/bin/python3", "import sys; print(sys.prefix)") == f"{root}/cpython-3.13+freethreaded"
        assert not (host.root / root[1:] / Path(made["prefix"]).name / "install").exists()
    refused = [result for result in run.results if result.kind == "failed"]
    reads(
        told(run, refused[0]),
        f"{archive.name} is compressed with zstd, which the host doesn't have, and delivery is pull: install zstd on the host, "
        "or use delivery: push, which sends it as gzip",
    )


def rows_of(folder: Path, to: Path) -> Path:
    sums = next(folder.glob("*/SHA256SUMS"))
    to.write_text("".join(f"{OLD}\t{row.split()[1]}\t{row.split()[0]}\n" for row in sums.read_text().splitlines()))
    return to


def test_owner_group_and_mode(fleet: Mapping[str, Host], source: Path, tmp_path: Path) -> None:
    host, root = fleet["debian"], str(tmp_path / "root")
    declared = {"builds": ["3.12"], "root": root, "owner": "deploy", "group": "plain", "mode": "0750"}
    (host.root / str(tmp_path)[1:]).mkdir(parents=True, exist_ok=True)
    run = play(host, task(**declared, source=str(source)), task(**declared))
    assert [result.result.get("changed") for result in run.results] == [True, False], run.output
    tree = host.root / root[1:]
    # The root stays with who may do everything: its owner could lead the next run anywhere.
    status = tree.stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (0, 1001, 0o751)
    for path in (tree / name(OLD12), *(tree / name(OLD12)).rglob("*")):
        status = path.lstat()
        assert (status.st_uid, status.st_gid) == (1000, 1001), path
        assert path.is_symlink() or status.st_mode & 0o777 in (0o750, 0o640), path
    for user in ("deploy", "plain"):
        assert python_says(host, f"{root}/cpython-3.12/bin/python3", "print(1)", user) == "1"


def test_root_starts_no_interpreter_of_its_owner(fresh_host: FreshHost, source: Path) -> None:
    """A look, and a run with nothing to do, on a host where the owner of a build has put something else in its place."""
    host = fresh_host("debian")
    declared = {"builds": ["3.13"], "owner": "deploy"}
    assert play(host, task(**declared, source=str(source))).of().kind == "ok"
    python = host.root / "opt/python" / name(LATER13) / "bin/python3.13"
    python.unlink()
    python.write_text("#!/bin/sh\nid -u >>/tmp/started-by\necho Python 3.13.4\n")
    python.chmod(0o755)
    os.chown(python, 1000, -1)
    run = play(host, {INFO: {}}, task(**declared), task(**declared) | {"check_mode": True})
    assert [result.result["changed"] for result in run.results] == [False, False, False], run.output
    started_by = host.root / "tmp/started-by"
    assert set(started_by.read_text().split()) == {"1000"}


def test_timeout_of_a_task(fresh_host: FreshHost, catalogue: Path, web: Web) -> None:
    """Ansible's own timeout ends a task in the middle; when the host is done with it, the next run gets what is declared."""
    host = fresh_host("macish")
    options = {"catalogue": str(catalogue), "delivery": "pull"}
    run = play(host, {**task(builds=["3.12"], source=web.url("slow"), **options), "timeout": 5})
    assert web.half.is_set()
    assert run.of().kind == "failed"
    assert "timed out" in run.of().message.lower() or "timeout" in run.of().message.lower(), run.output
    web.going.set()
    again = play(host, task(builds=["3.12"], source=web.url(), **options), task(builds=["3.12"]))
    assert [result.kind for result in again.results] == ["ok", "ok"], again.output
    assert again.of().result["changed"] is False
    assert not (host.root / "opt/python/.standalone-python.staging").exists()


def test_check_mode_and_diff(fresh_host: FreshHost, source: Path) -> None:
    """What would be done, in words, and not one file more on the host; then that is done."""
    host = fresh_host("busybox")
    declared = task(builds=[OLD13, {"version": "3.12", "default": True}], source=str(source))
    with as_it_was(host, exactly=True):
        checked = play(host, declared, check=True, diff=True)
    done = play(host, declared, diff=True)
    assert checked.of().result["plan"] == done.of().result["plan"] != []
    assert checked.of().result["diff"] == done.of().result["diff"]
    shown = [
        "--- before: interpreters in /opt/python",
        "+++ after: interpreters in /opt/python",
        f"+{name(OLD12)}",
        f"+{name(OLD13)}",
        f"+/opt/python/cpython-3.12 -> {name(OLD12)}",
        f"+/opt/python/cpython-3.13 -> {name(OLD13)}",
        "+/usr/local/bin/python -> /opt/python/cpython-3.12/bin/python3",
        "+/usr/local/bin/python3 -> /opt/python/cpython-3.12/bin/python3",
        "+/usr/local/bin/python3.12 -> /opt/python/cpython-3.12/bin/python3.12",
        "+/usr/local/bin/python3.13 -> /opt/python/cpython-3.13/bin/python3.13",
    ]
    for run in (checked, done):
        assert [row for row in run.output.splitlines() if row[:1] in "+-" and row[:1]] == shown
    later = play(host, task(builds=["3.13"], state="latest", source=str(source), keep=0), diff=True, check=True)
    assert f"-{name(OLD13)}\n+{name(LATER13)}\n" in later.output, later.output


def test_info(fresh_host: FreshHost, source: Path) -> None:
    """On a host that has nothing and on one that has something, sound and broken, with a file that is somebody's own."""
    host = fresh_host("busybox")
    with as_it_was(host, exactly=True):
        empty = play(host, {INFO: {}}).of().result
    assert (empty["changed"], empty["interpreters"], empty["root"]) == (False, [], "/opt/python")
    assert empty["target"] | {"libc_version": None, "level": 0} == {
        "os": "linux",
        "arch": "x86_64",
        "libc": "gnu",
        "libc_version": None,
        "level": 0,
        "triple": TRIPLE,
    }
    assert {"tar", "gzip", "wget", "sha256sum"} <= set(empty["tools"])
    assert play(host, task(builds=["3.13", "3.12"], source=str(source))).of().kind == "ok"
    library = host.root / "opt/python" / name(LATER13) / "lib/python3.13"
    (library / "mine.py").write_text("")
    with (library / "json/decoder.py").open("a") as file:
        file.write("# altered\n")
    (host.root / "opt/python" / name(OLD12) / "bin/python3.12").unlink()
    with as_it_was(host, exactly=True):
        run = play(host, {INFO: {}}, {INFO: {"verify": "full"}})
    quick, full = (result.result["interpreters"] for result in run.results)
    assert [(one["version"], one["sound"], one["problem"], one["extra"]) for one in quick] == [
        ("3.12.1", False, "its executable is missing", []),
        ("3.13.4", True, "", []),
    ]
    problem = "its files differ from what was installed: lib/python3.13/json/decoder.py"
    assert [(one["problem"], one["extra"]) for one in full[1:]] == [(problem, ["lib/python3.13/mine.py"])]
    assert full[1]["stable_path"] == "/opt/python/cpython-3.13/bin/python3"
    assert full[1]["path"] == f"/opt/python/{name(LATER13)}/bin/python3"


@pytest.mark.parametrize("kind", ["busybox", "debian"])
def test_the_role_makes_an_ansible_host(kind: str, fresh_host: FreshHost, source: Path, tmp_path: Path) -> None:
    """A host without Python, and Ansible's own modules running on it in the same play."""
    host = fresh_host(kind)
    (tmp_path / "template.j2").write_text("{{ ansible_facts.python.version.major }} of {{ inventory_hostname }}\n")
    variables = {
        "interpreters_builds": ["3.13"],
        "interpreters_use": "3.13",
        "interpreters_gather_facts": True,
        "interpreters_source": str(source),
    }
    role = {"role": "standalone.python.interpreters", "vars": variables}
    tasks = [
        {"ansible.builtin.copy": {"content": "copied\n", "dest": "/srv-copied", "mode": "0600"}},
        {"ansible.builtin.template": {"src": str(tmp_path / "template.j2"), "dest": "/srv-template", "mode": "0644"}},
        {"ansible.builtin.command": {"cmd": "python3.13 -c 'import sys; print(sys.prefix)'"}},
        {"ansible.builtin.debug": {"var": "ansible_python_interpreter"}},
    ]
    with as_it_was(host, exactly=True):
        checked = run_play([], line(host), play={"roles": [role]}, check=True)
        assert checked.code == 0, checked.output
    run = run_play(tasks, line(host), play={"roles": [role]})
    assert run.code == 0, run.output
    by_name = {result.task: result.result for result in run.results}
    assert by_name["ansible.builtin.command"]["stdout"] == "/opt/python/cpython-3.13"
    assert by_name["ansible.builtin.debug"]["ansible_python_interpreter"] == "/opt/python/cpython-3.13/bin/python3"
    assert (host.root / "srv-copied").read_text() == "copied\n"
    assert (host.root / "srv-template").read_text() == f"3 of {host.name}\n"
    again = run_play(tasks[:2], line(host), play={"roles": [role]})
    assert again.code == 0, again.output
    assert not any(result.result.get("changed") for result in again.results), again.output


def _with_role(host: Host, source: Path, *tasks: dict[str, Any], check: bool = False, tags: str = "all", **variables: Any) -> Run:
    own = {"interpreters_builds": ["3.13"], "interpreters_source": str(source)}
    declared = own | {f"interpreters_{name}": value for name, value in variables.items()}
    role = {"role": "standalone.python.interpreters", "vars": declared}
    return run_play(tasks, line(host), play={"roles": [role]}, check=check, arguments=["--tags", tags])


def _used(run: Run) -> str:
    """The interpreter that the role has chosen; empty where none."""
    assert run.code == 0, run.output
    facts = [result.result["ansible_facts"] for result in run.results if "Use it" in result.task and result.kind == "ok"]
    return str(facts[0]["ansible_python_interpreter"]) if facts else ""


def test_the_role_names_what_it_could_use(fresh_host: FreshHost, source: Path) -> None:
    """A number that YAML has made of a version, and a misspelt variable, are found before anything is done."""
    host = fresh_host("busybox")
    with as_it_was(host):
        reads(
            complaint(_with_role(host, source, use=3.1)),
            "interpreters_use is the number 3.1, as YAML reads 3.10 without quotes: write '3.10' in quotes.",
        )
        reads(
            complaint(_with_role(host, source, lnks=[])),
            "unknown variable `interpreters_lnks`: did you mean `interpreters_links`?",
        )
    reads(
        complaint(_with_role(host, source, use="3.11")),
        "interpreters_use is '3.11', but the declared interpreters on this host are 3.13.4: "
        "name one of them, or a request of interpreters_builds.",
    )


def test_the_role_uses_what_is_meant(fresh_host: FreshHost, source: Path) -> None:
    """Any form of a version that a build's request may have; null is as if nothing were said."""
    host, stable = fresh_host("busybox"), "/opt/python/cpython-{}/bin/python3"
    assert _used(_with_role(host, source, builds=["3.13", "3.12"], use=3.12)) == stable.format("3.12")
    assert _used(_with_role(host, source, use=None)) == ""
    for use in ("cpython-3.13", "cpython@3.13.4", f"3.13.4+{NEWER}", "3"):
        assert _used(_with_role(host, source, use=use)) == stable.format("3.13"), use


def test_the_role_prefers_the_plain_build() -> None:
    """A version alone names no variant, on Windows as well."""
    vars_file = REPOSITORY / "ansible_collections/standalone/python/roles/interpreters/vars/main.yml"
    declared = [
        {"request": request, "variant": variant, "prefix": f"C:\\python\\cpython-3.13.4+{NEWER}-{triple}", "stable_path": request}
        for request, variant, triple in (
            ("3.13t", "freethreaded", "x86_64-pc-windows-msvc-freethreaded+pgo"),
            ("3.13.4", "", "x86_64-pc-windows-msvc-install_only"),
        )
    ]
    known = {**yaml.safe_load(vars_file.read_text()), "interpreters_result": {"interpreters": declared}}
    chosen = {"ansible.builtin.debug": {"msg": "{{ __interpreters_candidates[0].stable_path }}"}}
    for use, expected in (("3.13", "3.13.4"), ("3.13t", "3.13t")):
        assert run_play([chosen], play={"vars": known | {"interpreters_use": use}}).of().message == expected


def test_the_role_in_check_mode(fresh_host: FreshHost, source: Path) -> None:
    """What will be there only after the run is not used; what is there is, and what a run would do about facts is no error."""
    host = fresh_host("busybox")
    ping: dict[str, Any] = {"ansible.builtin.ping": {}}
    with as_it_was(host):
        bare = _with_role(host, source, gather_facts=True, check=True)
        assert bare.code == 0, bare.output
    assert _used(_with_role(host, source, builds=[OLD13])) == ""
    upgrade = _with_role(host, source, ping, state="latest", use="3.13", gather_facts=True, check=True)
    assert _used(upgrade) == "/opt/python/cpython-3.13/bin/python3"
    assert any("Gather" in result.task and result.kind == "ok" for result in upgrade.results), upgrade.output
    assert _used(_with_role(host, source, builds=["3.13", "3.12"], use="3.12", gather_facts=True, check=True)) == ""
    facts = _with_role(host, source, use="3.13", gather_facts=True, tags="interpreters_facts")
    assert [(result.kind, "Gather" in result.task) for result in facts.results][1:] == [("ok", True)], facts.output


def test_defaults_for_all_modules_of_the_collection(fleet: Mapping[str, Host], source: Path) -> None:
    defaults = {"module_defaults": {"group/standalone.python.all": {"root": "/srv/one", "bin_dir": "/srv/one/bin"}}}
    run = play(fleet["debian"], task(builds=["3.13"], source=str(source)), {INFO: {}}, play=defaults)
    installed, observed = (result.result for result in run.results)
    assert installed["interpreters"][0]["path"].startswith("/srv/one/"), run.output
    assert (observed["root"], observed["bin_dir"]) == ("/srv/one", "/srv/one/bin")
