# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Beside what hosts have: other tools, the real ones, find our interpreters; what was there before stays, and can go."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.tools import mise, pages
from tests.tools.hosts import Host
from tests.tools.hosts.fixtures import FreshHost
from tests.tools.pages import files, tried
from tests.tools.playbook import CACHE, run_play
from tests.tools.sources import NEWER, V13LATER
from tests.tools.web import serve

PAGE = "docs/adopting.md"
FILES = files(PAGE, "Ansible")
COMMANDS = pages.commands(PAGE, "Ansible")
# For tests/docs/test_coverage.py; other tabs are in test_tabs.py.
TRIED = {PAGE: tried(PAGE, "Ansible")}

MODULE = "standalone.python.interpreters"
BASE = "import sys; print(sys.base_prefix)"
# Nobody listens there: a tool that wants to download fails.
NO_NETWORK = {"HTTP_PROXY": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9", "UV_HTTP_RETRIES": "0"}

pytestmark = [
    pytest.mark.xdist_group("hosts"),
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="needs x86-64: the builds are named so"),
]


@dataclass(frozen=True, slots=True)
class Machine:
    """This machine as a host: our root and its bin folder, which comes first on the PATH as /usr/local/bin does."""

    folder: Path

    @property
    def stable(self) -> str:
        return f"{self.folder}/python/cpython-3.13"

    def run(self, *command: str, cwd: Path, settings: Mapping[str, str] = {}, code: int = 0) -> str:
        """What one of the programs from PyPI prints, or a program of the machine, with nothing of this environment."""
        program = Path(sys.executable).parent / command[0]
        words = [str(program) if program.exists() else command[0], *command[1:]]
        clean = {
            "PATH": f"{self.folder}/bin:/usr/bin:/bin",
            "HOME": str(self.folder),
            "UV_CACHE_DIR": str(self.folder / "uv-cache"),
        }
        pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        done = subprocess.run(
            words, capture_output=True, text=True, env={**clean, **pip, **settings}, cwd=cwd, timeout=300, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def machine(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    folder = tmp_path_factory.mktemp("machine")
    declared = {"builds": ["3.13"], "source": str(source), "root": f"{folder}/python", "bin_dir": f"{folder}/bin"}
    command = [str(Path(sys.executable).with_name("standalone-python")), "apply", "-"]
    environment = {**os.environ, "STANDALONE_PYTHON_CACHE": str(CACHE)}
    subprocess.run(command, input=json.dumps(declared), text=True, check=True, capture_output=True, env=environment)
    return Machine(folder)


def base(environment: Path, machine: Machine) -> str:
    return machine.run(f"{environment}/bin/python", "-c", BASE, cwd=machine.folder).strip()


def wheel(folder: Path) -> Path:
    """A program that says what it runs on, without a build backend."""
    path, info = folder / "whoami_python-1.0-py3-none-any.whl", "whoami_python-1.0.dist-info"
    members = {
        "whoami_python.py": "import sys\ndef main(): print(sys.base_prefix)\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: whoami-python\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\nwhoami-python = whoami_python:main\n",
        f"{info}/RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path


def project(folder: Path) -> Path:
    (folder / "pyproject.toml").write_text(FILES["pyproject.toml"])
    return folder


def test_what_is_in_a_virtual_environment_moves(machine: Machine, tmp_path: Path) -> None:
    old = tmp_path / "app/venv"
    subprocess.run([sys.executable, "-m", "venv", str(old)], check=True)
    subprocess.run([str(old / "bin/pip"), "install", "-q", "--no-index", str(wheel(tmp_path))], check=True)
    lines = [command for command in COMMANDS if "/srv/app/" in command]
    script = "\n".join(lines).replace("/srv/app", str(tmp_path / "app")).replace("/opt/python", f"{machine.folder}/python")
    machine.run("sh", "-ec", script, cwd=tmp_path, settings=NO_NETWORK)
    assert machine.run(str(old / "bin/whoami-python"), cwd=tmp_path).strip() == machine.stable


def test_virtualenv(machine: Machine, tmp_path: Path) -> None:
    machine.run("virtualenv", "-p", "3.13", "env", cwd=tmp_path, settings=NO_NETWORK)
    assert base(tmp_path / "env", machine) == machine.stable


def test_tox(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "tox.ini").write_text(f"[tox]\nskipsdist = true\n[testenv]\ncommands = python -c '{BASE}'\n")
    said = machine.run("tox", "run", "-e", "py313", cwd=tmp_path, settings=NO_NETWORK)
    assert machine.stable in said.splitlines()


def test_hatch(machine: Machine, tmp_path: Path) -> None:
    said = machine.run("hatch", "run", "python", "-c", BASE, cwd=project(tmp_path), settings=NO_NETWORK)
    assert said.strip() == machine.stable


def test_pipx(machine: Machine, tmp_path: Path) -> None:
    settings = {"PIPX_HOME": str(tmp_path / "pipx"), "PIPX_BIN_DIR": str(tmp_path / "bin")}
    machine.run("pipx", "install", "--python", "3.13", str(wheel(tmp_path)), cwd=tmp_path, settings=settings)
    assert machine.run(str(tmp_path / "bin/whoami-python"), cwd=tmp_path).strip() == machine.stable


def test_uv_in_a_project_takes_ours_instead_of_downloading(machine: Machine, tmp_path: Path) -> None:
    """With its own defaults: it would download what it doesn't find."""
    machine.run("uv", "run", "python", "-c", BASE, cwd=project(tmp_path), settings=NO_NETWORK)
    assert base(tmp_path / ".venv", machine) == machine.stable
    machine.run("uv", "venv", "--python", "3.13", "other", cwd=tmp_path, settings=NO_NETWORK)
    assert base(tmp_path / "other", machine) == machine.stable
    # That it is ours which is taken, and nothing else that the machine has:
    found = json.loads(
        machine.run(
            "uv", "python", "list", "--only-installed", "--output-format", "json", "3.13", cwd=tmp_path, settings=NO_NETWORK
        )
    )
    assert [entry["path"] for entry in found] == [f"{machine.folder}/bin/python3.13"]


def test_from_uvs_managed_interpreters(machine: Machine, source: Path, tmp_path: Path) -> None:
    """uv prefers its own as long as it has one; once that is uninstalled, it makes the project's environment anew with ours."""
    mirror = [str(Path(sys.executable).with_name("standalone-python")), "mirror"]
    web_folder = tmp_path / "www"
    environment = {**os.environ, "STANDALONE_PYTHON_CACHE": str(CACHE)}
    asked = ["--request", "3.13", "--target", "x86_64-unknown-linux-gnu", "--source", str(source)]
    subprocess.run([*mirror, "sync", str(web_folder), *asked], check=True, capture_output=True, env=environment)
    with serve(web_folder) as web:
        export = [*mirror, "export", str(web_folder), "--for", "uv", "--url", web.url()]
        (tmp_path / "uv.json").write_bytes(subprocess.run(export, check=True, capture_output=True, env=environment).stdout)
        managed = {"UV_PYTHON_INSTALL_DIR": str(tmp_path / "uv"), "UV_PYTHON_BIN_DIR": str(tmp_path / "uv-bin")}
        own = {**managed, "UV_PYTHON_DOWNLOADS_JSON_URL": (tmp_path / "uv.json").as_uri(), "NO_PROXY": "*"}
        machine.run("uv", "python", "install", "3.13", cwd=tmp_path, settings=own)
    (tmp_path / "project").mkdir()
    where = project(tmp_path / "project")
    machine.run("uv", "sync", cwd=where, settings={**managed, **NO_NETWORK})
    assert base(where / ".venv", machine).startswith(str(tmp_path / "uv"))
    for command in commands("uv "):
        machine.run(*command.split(), cwd=where, settings={**managed, **NO_NETWORK})
    assert base(where / ".venv", machine) == machine.stable
    assert not list((tmp_path / "uv").glob("cpython-3.13*"))


def test_from_mises_own_interpreters(machine: Machine, source: Path, tmp_path: Path) -> None:
    """mise takes ours by the stable path, in place of the one that it had installed, and removes that one."""
    program, settings = str(mise.program()), {**mise.settings(tmp_path), "MISE_CONFIG_DIR": str(tmp_path), "NO_PROXY": "*"}
    command = [str(Path(sys.executable).with_name("standalone-python")), "mirror"]
    environment = {**os.environ, "STANDALONE_PYTHON_CACHE": str(CACHE)}
    asked = ["--request", "3.13", "--target", "x86_64-unknown-linux-gnu", "--source", str(source)]
    subprocess.run([*command, "sync", str(tmp_path / "www"), *asked], check=True, capture_output=True, env=environment)
    with serve(tmp_path / "www") as web:
        export = [*command, "export", str(tmp_path / "www"), "--for", "mise", "--url", web.url()]
        lines = subprocess.run(export, check=True, capture_output=True, text=True, env=environment).stdout
        (tmp_path / "config.toml").write_text(f'{lines}\n[tools]\npython = "3.13"\n')
        machine.run(program, "install", cwd=tmp_path, settings=settings)
    which = [program, "exec", "--", "python", "-c", "import sys; print(sys.prefix)"]
    assert machine.run(*which, cwd=tmp_path, settings=settings).startswith(str(tmp_path / "data"))
    for words in (*commands("mise use"), *commands("mise uninstall")):
        machine.run(
            program, *words.replace("/opt/", f"{machine.folder}/").split()[1:], cwd=tmp_path, settings={**settings, **NO_NETWORK}
        )
    assert machine.run(*which, cwd=tmp_path, settings={**settings, **NO_NETWORK}).strip() == machine.stable
    assert not list((tmp_path / "data/installs/python").glob("3.13.*/bin"))


def test_each_command_is_one_that_is_tried() -> None:
    text = Path(__file__).read_text()
    untried = [
        command
        for command in COMMANDS
        if "/srv/app/" not in command and not any(f'commands("{command[:n]}")' in text for n in range(3, len(command) + 1))
    ]
    assert untried == ["ansible-playbook -i inventory.ini adopt.yml"]  # run_play does just that


def commands(beginning: str) -> list[str]:
    found = [command for command in COMMANDS if command.startswith(beginning)]
    assert found
    return found


def test_from_pyenv(machine: Machine, tmp_path: Path) -> None:
    """Its shims come first on the PATH, and pass on to ours what pyenv hasn't; or pyenv knows ours by a link."""
    pyenv = shutil.which("pyenv")
    if not pyenv:
        pytest.skip("needs pyenv: there is none on this machine")
    program = Path(pyenv).resolve()
    real = Path(subprocess.run([program, "root"], check=True, capture_output=True, text=True).stdout.strip())
    (theirs,) = sorted(real.glob("versions/3.13.*"))[-1:]
    root = tmp_path / "pyenv"
    (root / "versions").mkdir(parents=True)
    copied = ("bin", "lib/python3.13/*.py", "lib/python3.13/encodings", "lib/python3.13/lib-dynload", "lib/libpython*")
    for pattern in copied:
        for path in theirs.glob(pattern):
            there = root / "versions" / theirs.name / path.relative_to(theirs)
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(path, there, symlinks=True) if path.is_dir() else shutil.copy2(path, there, follow_symlinks=False)
    (root / "version").write_text(f"{theirs.name}\n")
    settings = {
        "PYENV_ROOT": str(root),
        "PATH": f"{root}/shims:{program.parent}:{machine.folder}/bin:/usr/bin:/bin",
        "LD_LIBRARY_PATH": str(root / "versions" / theirs.name / "lib"),
    }
    machine.run(str(program), "rehash", cwd=tmp_path, settings=settings)
    which = ("python3.13", "-c", BASE)

    def python() -> str:
        return machine.run("sh", "-c", f"{which[0]} -c '{BASE}'", cwd=tmp_path, settings=settings).strip()

    assert python() == str(root / "versions" / theirs.name)
    adopt, system = commands("ln -s ")[0], commands("pyenv global ")[0]
    adopt = adopt.replace("/opt/python", f"{machine.folder}/python")
    machine.run("sh", "-ec", adopt, cwd=tmp_path, settings=settings)
    machine.run("sh", "-ec", commands("pyenv local ")[0], cwd=tmp_path, settings=settings)
    assert python() == str(root / "versions/3.13") or os.path.realpath(python()) == os.path.realpath(machine.stable)
    (tmp_path / ".python-version").unlink()
    machine.run("sh", "-ec", system, cwd=tmp_path, settings=settings)
    assert python() == machine.stable


def play(host: Host, source: Path, **declared: object) -> tuple[str, bool]:
    """A failure's sentence, and whether something was changed."""
    run = run_play([{MODULE: {"builds": ["3.13"], "source": str(source), **declared}}], f"{host.inventory_line}\n")
    return run.of().message if run.code else "", bool(run.of().result.get("changed"))


def test_from_a_build_that_was_unpacked_by_hand(fresh_host: FreshHost, source: Path, builds: Callable[..., Path]) -> None:
    """What lies in our root and isn't ours stays; a link in our way is an error, until force."""
    host = fresh_host("debian")
    archive = builds("3.13", tag=NEWER, version=V13LATER)
    shutil.copy(archive, host.root / "root/build.tar.gz")
    by_hand = "mkdir -p /opt/python && tar -xzf /root/build.tar.gz -C /opt/python && ln -s /opt/python/python/bin/python3.13 /usr/local/bin/"
    assert host.exec(["sh", "-ec", by_hand]).returncode == 0
    message, changed = play(host, source)
    assert (message, changed) == (
        (
            "cannot link /usr/local/bin/python3.13 to /opt/python/cpython-3.13/bin/python3.13: it leads to "
            "/opt/python/python/bin/python3.13 and was not created by standalone-python; move it away, choose another bin_dir or links, or use force: true"
        ),
        False,
    )
    assert host.exec(["ls", "-A", "/opt/python"]).stdout.split() == ["python"]
    adopt = yaml.safe_load(FILES["adopt.yml"])[0]
    known = {"module_defaults": {MODULE: {"source": str(source)}}, **adopt}
    adopted = run_play(adopt["tasks"], f"{host.inventory_line}\n", play=known)
    assert (adopted.code, adopted.of().result["changed"]) == (0, True), adopted.output
    assert play(host, source, exclusive=True, keep=0) == ("", False)
    prefix = host.ssh(f"python3.13 -c '{BASE}'; /opt/python/python/bin/python3.13 -c '{BASE}'").stdout.split()
    assert prefix == ["/opt/python/cpython-3.13", "/opt/python/python"]
    for command in commands("rm -r /opt/python/python"):
        assert host.exec(["sh", "-ec", command]).returncode == 0
    assert play(host, source) == ("", False)


def test_from_a_folder_that_has_the_builds_name(fresh_host: FreshHost, source: Path, builds: Callable[..., Path]) -> None:
    host = fresh_host("busybox")
    archive = builds("3.13", tag=NEWER, version=V13LATER)
    shutil.copy(archive, host.root / "root/build.tar.gz")
    name = archive.name.removesuffix(".tar.gz")
    by_hand = f"mkdir -p /opt/python && tar -xzf /root/build.tar.gz -C /opt/python && mv /opt/python/python /opt/python/{name}"
    assert host.exec(["sh", "-ec", by_hand]).returncode == 0
    message, changed = play(host, source)
    assert (
        "something of that name exists there and was not created by standalone-python; move it away, choose another root, or use force: true"
        in message
    )
    assert not changed
    assert play(host, source, force=True) == ("", True)
    assert host.exec(["test", "-f", f"/opt/python/{name}/.standalone-python/receipt.json"]).returncode == 0
    assert play(host, source) == ("", False)


def test_from_a_distributions_package(fresh_host: FreshHost, builds: Callable[..., Path], source: Path, tmp_path: Path) -> None:
    """Ours comes first on the PATH, dpkg's files stay as they were, and ours stays when the package goes."""
    host = fresh_host("debian")
    shutil.copy("/etc/resolv.conf", host.root / "etc/resolv.conf")
    apt = "apt-get -qq update && apt-get -qq install --no-install-recommends python3 >/dev/null 2>&1 && python3 -c 'import sys; print(*sys.version_info[:2], sep=str(chr(46)))'"
    done = host.exec(["sh", "-ec", apt])
    assert done.returncode == 0, done.stderr
    minor = done.stdout.strip()
    packed = builds(minor)
    (tmp_path / packed.parent.name).mkdir()
    for path in (packed, packed.parent / "SHA256SUMS"):
        shutil.copy(path, tmp_path / packed.parent.name)
    assert play(host, tmp_path, builds=[minor]) == ("", True)
    said = host.ssh(
        f"PATH=/usr/local/bin:/usr/bin:/bin; python{minor} -c '{BASE}'; /usr/bin/python{minor} -c '{BASE}'; python3 -c '{BASE}'"
    ).stdout.split()
    assert said == [f"/opt/python/cpython-{minor}", "/usr", "/usr"]
    assert host.exec(["dpkg", "--verify", f"python{minor}-minimal", f"libpython{minor}-stdlib"]).stdout == ""
    remove = commands("apt-get remove ")[0].replace("python3.13", f"python{minor}")
    done = host.exec(["sh", "-ec", f"{remove} -y >/dev/null 2>&1; PATH=/usr/local/bin:/usr/bin; python{minor} -c '{BASE}'"])
    assert done.stdout.split() == [f"/opt/python/cpython-{minor}"], done.stderr
