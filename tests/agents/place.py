# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the agents are tried: a folder that stands for a host's disk, and the POSIX shells that run them there."""

from __future__ import annotations

import os
import posixpath
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents.powershell import packed
from ansible_collections.standalone.python.plugins.plugin_utils.core.ensure import Completed
from tests.agents import fakes, on_windows
from tests.tools.windows import HERE

POSIX = pytest.mark.skipif(os.name != "posix", reason="needs POSIX: shells")
# Every program that the agents may start, apart from those that fetch and unpack.
TOOLS = (
    *(
        "awk",
        "cat",
        "chmod",
        "chown",
        "cp",
        "date",
        "df",
        "env",
        "find",
        "getconf",
        "getent",
        "grep",
        "head",
        "id",
        "ldd",
        "ln",
        "ls",
        "mkdir",
        "mv",
        "printf",
    ),
    *("readlink", "rm", "rmdir", "sed", "setpriv", "setsid", "sh", "sleep", "su", "sysctl", "tail", "touch", "tr", "uname"),
)
UNPACKING = ("gzip", "sha256sum", "shasum", "tar", "zstd")


@dataclass(frozen=True, slots=True)
class Shell:
    """
    :ivar tools: the program whose applets are the tools, where they belong to the shell
    :ivar without: tools that are not there
    :ivar replaced: tools that are other ones than the machine's own
    :ivar packed: it takes scripts as PowerShell does on hosts
    """

    name: str
    command: tuple[str, ...]
    tools: str = ""
    without: tuple[str, ...] = ()
    replaced: tuple[tuple[str, str], ...] = ()
    packed: bool = False

    def path(self, folder: Path) -> str:
        """The PATH in this shell; empty for the machine's own."""
        if not (self.tools or self.without or self.replaced):
            return ""
        names = [name for name in (*TOOLS, *UNPACKING) if name not in self.without]
        return str(link_tools(folder, names, dict(self.replaced), self.tools))


SHELLS = (
    Shell("dash", ("dash", "-s")),
    Shell("bash", ("bash", "-s")),
    # With the tools that macOS has, as far as they are other ones.
    Shell(
        "bash-posix",
        ("bash", "--posix", "-s"),
        without=("readlink", "sha256sum", "zstd"),
        replaced=(("tar", "bsdtar"),),
    ),
    Shell("busybox", ("busybox", "sh", "-s"), tools="busybox"),
    Shell("mksh", ("mksh", "-s")),
)


def needed(*programs: str) -> None:
    """Skips the test where a program is missing; only on Linux does an installation bring all of them."""
    for program in programs:
        if shutil.which(program) is None:
            if sys.platform != "linux":
                pytest.skip(f"needs Linux: {program} is not on this machine")
            pytest.skip(f"needs packages: {program} is not installed (tests/packages.txt names the package)")


def boot() -> str:
    """What Linux calls the time since it was started, and the processes that this one sees. Without /proc, a lock says less."""
    if sys.platform != "linux":
        pytest.skip("needs Linux: its /proc tells processes that had the same number apart")
    numbers = re.sub("[^0-9]", "", os.readlink("/proc/self/ns/pid"))
    return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()}.{numbers}"


def started(pid: int) -> str:
    """When a process was, in the words of /proc."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[19]


def link_tools(folder: Path, names: Iterable[str], replaced: Mapping[str, str] = {}, applets: str = "") -> Path:
    """A folder for the PATH in which only these programs are; those in ``replaced`` are other ones of that name."""
    folder.mkdir(parents=True, exist_ok=True)
    have: set[str] = set()
    if applets:
        listed = subprocess.run([applets, "--list"], capture_output=True, text=True, check=True)
        have = set(listed.stdout.split())
    for name in names:
        found = shutil.which(replaced.get(name, applets if name in have else name))
        if found:
            (folder / name).symlink_to(found)
    return folder


@dataclass(frozen=True, slots=True)
class Place:
    """A disk of its own. ``root`` and ``bin_dir`` are what is declared; ``~`` stands for ``disk``. With ``windows``, builds lie
    there as Windows has them, and launchers are what links in ``bin_dir`` are elsewhere."""

    disk: Path
    root: str
    bin_dir: str
    environment: dict[str, str] = field(default_factory=dict)
    windows: bool = False

    def text(self, template: str) -> str:
        """Paths in texts of a case: {root}, {bin}, {disk}."""
        template = as_windows_has(template) if self.windows else template
        if HERE and template.startswith("/"):
            template = self.disk.drive + template
        disk = self.disk.as_posix()
        at = {"{root}": self.root, "{bin}": self.bin_dir}
        for name, path in at.items():
            template = template.replace(name, disk + path[1:] if path.startswith("~") else path)
        return template.replace("{disk}", disk)

    def path(self, template: str) -> Path:
        return Path(self.text(template))

    def run(self, shell: Shell, script: str, *, as_user: int | None = None, umask: int | None = None) -> Completed:
        return finished(self.start(shell, script, as_user=as_user, umask=umask))

    def start(
        self, shell: Shell, script: str, *, as_user: int | None = None, umask: int | None = None
    ) -> subprocess.Popen[bytes]:
        """A shell in a process group of its own, which has been given the script."""
        environment = {"HOME": str(self.disk), "LC_ALL": "C.UTF-8", **self.environment}
        environment.setdefault("PATH", os.environ["PATH"])
        if HERE:
            # No program starts there without what the system says. Modules are one PowerShell's own, and not for its other versions.
            environment = {name: value for name, value in os.environ.items() if name != "PSMODULEPATH"} | environment
        command: Sequence[str] = [shutil.which(shell.command[0]) or shell.command[0], *shell.command[1:]]
        if as_user is not None:
            command = ["setpriv", f"--reuid={as_user}", f"--regid={as_user}", "--clear-groups", *command]
            command[0:1] = [shutil.which("setpriv") or "setpriv"]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={name: value for name, value in environment.items() if value != "(unset)"},
            cwd="/",
            umask=-1 if umask is None else umask,
            start_new_session=True,
        )
        assert process.stdin
        try:
            process.stdin.write(packed(script) if shell.packed else os.fsencode(script))
            process.stdin.close()
        except BrokenPipeError:
            pass
        process.stdin = None
        return process

    def tree(self, *, padding: int = 0) -> dict[str, str]:
        """Everything on the disk: path -> what it is. A build is one thing; empty folders count only where they are ours."""
        return tree(self.disk, padding=padding, windows=self.windows)


# What a path of a build or a link is on Windows; the first that is found.
_WINDOWS = (
    (r"(?<!\{)\bbin/python3(\.\d+)?", "python.exe"),
    (r"\blib/python3\.\d+/lib-dynload/(\w+)\.so", r"DLLs/\1.pyd"),
    (r"\blib/python3\.\d+", "Lib"),
    (r"/lib$", "/Lib"),
    (r"(\{bin\}/python3?(?:\.\d+)?)(/?)$", r"\1.cmd\2"),
    (r'it\'s "odd" (\\?\$)HOME', r"it's odd, \1HOME"),
)


def as_windows_has(text: str) -> str:
    for pattern, replacement in _WINDOWS:
        text = re.sub(pattern, replacement, text)
    return text


LAUNCHER = '@rem standalone-python keeps this file\r\n@"{}" %*\r\n'


def launched(path: Path, home: Path) -> str:
    """What a launcher starts; empty for any other file."""
    found = re.fullmatch(re.escape(LAUNCHER).replace(r"\{\}", '([^"\r\n]+)'), path.read_bytes().decode(errors="replace"))
    if not found:
        return ""
    to = found[1].replace("%~dp0", f"{path.parent}/").replace("%USERPROFILE%", str(home)).replace("%%", "%")
    to = to.replace("\\", "/")
    return posixpath.normpath(to)


def finished(process: subprocess.Popen[bytes], timeout: float = 120) -> Completed:
    out, err = process.communicate(timeout=timeout)
    return Completed(process.returncode, os.fsdecode(out), os.fsdecode(err))


def leads_to(path: Path) -> str:
    """Empty where it is no link."""
    if path.is_symlink():
        return str(path.readlink())
    return on_windows.junction_to(path) if HERE else ""


def tree(top: Path, *, padding: int = 0, windows: bool = False) -> dict[str, str]:
    found: dict[str, str] = {}

    def visit(folder: Path) -> None:
        for path in sorted(folder.iterdir()):
            name = path.relative_to(top).as_posix()
            if to := leads_to(path):
                found[name] = f"-> {to}"
            elif path.is_dir():
                mode = path.stat().st_mode & 0o777
                if fakes.is_build(path):
                    found[name] = fakes.state_of(path, padding, windows)
                else:
                    found[name] = "folder" if mode == 0o755 or HERE else f"folder {mode:o}"
                    visit(path)
            elif windows and path.is_file() and (to := launched(path, top)):
                found[name] = f"-> {to}"
            elif path.is_file():
                found[name] = f"file {path.read_text(errors='replace')!r}"
            else:
                found[name] = "something else"

    visit(top)
    return found
