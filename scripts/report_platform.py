#!/usr/bin/env python3
# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests on this machine what only a real system can show, and prints a report to paste into an issue.

    scripts/report_platform.py [--source SRC] [--minor 3.13] [--old 3.13.1+20250115] [--folder FOLDER] [--list]

docs/macos.md and docs/windows.md list the trials. All files are created in FOLDER, by default a temporary one, and removed at the
end. Nothing else is changed, and no special rights are needed. Run it with the Python of an environment in which the project is
installed. The exit code is 1 if a trial fails.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents.on_host import disk, files, finish, macho
from ansible_collections.standalone.python.plugins.plugin_utils.core.agents.sh import MODULES

WINDOWS = os.name == "nt"
DARWIN = sys.platform == "darwin"
QUARANTINE = "com.apple.quarantine"
EMBEDDING = """
#include <Python.h>
int main(void) { Py_Initialize(); PyRun_SimpleString("import sys; print(sys.version.split()[0])"); return 0; }
"""


class Unavailable(Exception):
    """The trial is not possible on this machine; the message says what it needs."""


@dataclass(frozen=True, slots=True)
class Trial:
    """The folder and the builds of the trials."""

    folder: Path
    source: str
    minor: str
    old: str
    notes: list[str] = field(default_factory=list)

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def stable(self) -> Path:
        return self.root / f"cpython-{self.minor}"

    @property
    def python(self) -> Path:
        return self.stable / "bin" / "python3"

    def note(self, text: str) -> None:
        self.notes.append(text)


def output_of(*command: str | Path, env: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    """Run a program and return its output.

    :raises AssertionError: it failed
    """
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        encoding="utf-8",
        errors="backslashreplace",
        env=os.environ | (env or {}),
        cwd=cwd,
        check=False,
    )
    text = (done.stdout + done.stderr).strip()
    must(done.returncode == 0, f"{Path(str(command[0])).name} ended with exit code {done.returncode}: {text[-1500:]}")
    return done.stdout.strip()


def must(true: bool, otherwise: str) -> None:
    if not true:
        raise AssertionError(otherwise)


def own(*words: str | Path) -> tuple[str | Path, ...]:
    return (sys.executable, "-P", "-m", "standalone_python", *words)


def apply(trial: Trial, build: str, root: Path | None = None, source: str = "", **more: object) -> dict[str, object]:
    file = trial.folder / "declaration.json"
    declared = {"builds": [build], "root": str(root or trial.root), "source": source or trial.source, **more}
    file.write_text(json.dumps(declared))
    result = json.loads(output_of(*own("apply", file, "--json")))
    must(isinstance(result, dict), f"apply printed {result!r}")
    return dict(result)


def prefix_of(python: Path) -> str:
    return output_of(python, "-I", "-c", "import ctypes, lzma, sqlite3, ssl, sys; print(sys.prefix)")


# What this machine is


def the_system(trial: Trial) -> None:
    trial.note(f"{platform.platform()}, {platform.machine()}, Python {platform.python_version()}")
    commands: dict[str, Sequence[str]] = {
        "sw_vers": ("sw_vers",),
        "Rosetta": ("sysctl", "-n", "sysctl.proc_translated"),
        "sh": ("sh", "-c", 'echo "${BASH_VERSION:+bash $BASH_VERSION}${ZSH_VERSION:+zsh $ZSH_VERSION}"'),
        "tar": ("tar", "--version"),
        "zstd": ("zstd", "--version"),
        "shasum": ("shasum", "--version"),
        "PowerShell": ("powershell.exe", "-NoProfile", "-Command", "$PSVersionTable.PSVersion.ToString()"),
        "PowerShell 7": ("pwsh", "-NoProfile", "-Command", "$PSVersionTable.PSVersion.ToString()"),
        "code page": ("chcp.com",),
    }
    for name, command in commands.items():
        if shutil.which(command[0]):
            done = subprocess.run(command, capture_output=True, text=True, errors="backslashreplace", check=False)
            lines = (done.stdout or done.stderr).split("\n")
            trial.note(f"{name}: {' '.join(' '.join(lines[:4]).split())}")
    present = [tool for tool in ("sha256sum", "readlink", "codesign", "xattr", "curl", "openssl") if shutil.which(tool)]
    trial.note(f"there are: {', '.join(present)}")
    if sys.platform == "win32":
        import ctypes
        import winreg

        trial.note(f"administrator: {bool(ctypes.windll.shell32.IsUserAnAdmin())}")
        try:
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"SYSTEM\CurrentControlSet\Control\FileSystem") as key:
                trial.note(f"LongPathsEnabled: {winreg.QueryValueEx(key, 'LongPathsEnabled')[0]}")
        except FileNotFoundError:
            trial.note("LongPathsEnabled: not there")


def the_disk(trial: Trial) -> None:
    (trial.folder / "Case").write_text("")
    trial.note(f"the case of names is {'ignored' if (trial.folder / 'cASE').exists() else 'distinguished'} in {trial.folder}")


# With the command line, where there is a POSIX shell


def installs(trial: Trial) -> None:
    begun = time.monotonic()
    must(apply(trial, trial.old)["changed"] is True, "nothing was installed")
    trial.note(f"{time.monotonic() - begun:.1f} s with the download")
    must(Path(prefix_of(trial.python)).resolve() == trial.stable.resolve(), f"it runs from {prefix_of(trial.python)}")


def second_run_changes_nothing(trial: Trial) -> None:
    begun = time.monotonic()
    must(apply(trial, trial.old, verify="full")["changed"] is False, "the second run changed something")
    trial.note(f"{time.monotonic() - begun:.1f} s with every file compared")
    output_of(*own("verify", "--root", trial.root))


def damage_is_found(trial: Trial) -> None:
    """Verify with the checksum tool of this machine, whatever its output looks like."""
    file = next(trial.stable.glob("lib/python3.*/this.py"))
    content = file.read_bytes()
    file.write_bytes(content + b"#")
    done = subprocess.run(
        [str(word) for word in own("verify", "--root", trial.root)], capture_output=True, text=True, check=False
    )
    file.write_bytes(content)
    must(done.returncode == 2 and "this.py" in done.stdout + done.stderr, f"verify said {done.stdout + done.stderr!r}")


def repairs_in_one_step(trial: Trial) -> None:
    """If the system can exchange two folders, the build is never missing."""
    library = next(trial.stable.glob("lib/python3.*/ssl.py"))
    library.unlink()
    before = library.parent.stat().st_ino
    result = apply(trial, trial.old)
    must(result["changed"] is True and library.is_file(), "it was not repaired")
    must(library.parent.stat().st_ino != before, "the build is the same folder as before")
    output_of(*own("verify", "--root", trial.root))


def upgrade_keeps_environments(trial: Trial) -> None:
    environment = trial.folder / "venv"
    output_of(trial.python, "-I", "-m", "venv", environment)
    before = output_of(environment / "bin" / "python", "-V")
    result = apply(trial, trial.minor, state="latest")
    must(result["changed"] is True, f"{trial.minor} has nothing newer than {trial.old}")
    after = output_of(environment / "bin" / "python", "-V")
    trial.note(f"{before}, after the upgrade {after}")
    prefix_of(environment / "bin" / "python")


def killed_run_leaves_nothing(trial: Trial) -> None:
    """Kill a run while it unpacks; the next one removes what it left."""
    root = trial.folder / "killed"
    file = trial.folder / "killed.json"
    file.write_text(json.dumps({"builds": [trial.minor], "root": str(root), "source": trial.source}))
    process = subprocess.Popen(
        [str(word) for word in own("apply", file)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    deadline = time.monotonic() + 300
    while not list(root.glob(".standalone-python.staging/*/python")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    must(process.poll() is None, "it ended before it could be killed")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    must(not list(root.glob("cpython-*")), "a build exists after the run was killed")
    must(apply(trial, trial.minor, root)["changed"] is True, "the next run installed nothing")
    must(sorted(path.name for path in root.glob(".*")) == [], "something is left of the killed run")


def removal_leaves_nothing(trial: Trial) -> None:
    apply(trial, trial.minor, state="absent")
    left = [path.name for path in trial.root.iterdir() if path.name != "bin"]
    must(left == [], f"left in the root: {left}")


# macOS


def install_name_is_true(trial: Trial) -> None:
    """Check the signature of a build before 20251209. macOS verifies it when it loads the library; so does codesign."""
    [library] = [path for path in trial.stable.resolve().glob("lib/libpython3.*.dylib") if not path.is_symlink()]
    data = library.read_bytes()
    names = {macho.install_name(data, part) for part in macho.slices(data)}
    receipt = json.loads((trial.stable / finish.RECEIPT).read_text())
    must(names == {str(library)}, f"the install name is {names}; the receipt says {receipt['unpatched']}")
    must(receipt["unpatched"] == [], f"the receipt says {receipt['unpatched']}")
    output_of("/usr/bin/codesign", "--verify", "--strict", "--verbose=2", library)
    output_of(trial.python, "-I", "-c", f"import ctypes; ctypes.CDLL({str(library)!r}).Py_GetVersion")


def a_program_can_embed_it(trial: Trial) -> None:
    if subprocess.run(["xcode-select", "-p"], capture_output=True, check=False).returncode:
        raise Unavailable("a C compiler: xcode-select --install")
    source, program = trial.folder / "embed.c", trial.folder / "embed"
    source.write_text(EMBEDDING)
    headers = next(trial.stable.resolve().glob("include/python3.*"))
    library = f"python{trial.minor}"
    output_of("cc", source, "-o", program, f"-I{headers}", f"-L{trial.stable.resolve() / 'lib'}", f"-l{library}")
    version = output_of(program, env={"PYTHONHOME": str(trial.stable.resolve())})
    must(version == trial.old.partition("+")[0], f"the program runs {version}")


def attributes(build: Path) -> str:
    """Remove the attribute from all files. xattr reports links without a target, and continues."""
    return subprocess.run(["xattr", "-r", build], capture_output=True, text=True, check=False).stdout


def a_marked_archive_installs(trial: Trial) -> None:
    """Install an archive with a browser's mark from a folder of this machine. The build has no mark, and starts."""
    mirror = trial.folder / "marked"
    target = json.loads((trial.stable / finish.RECEIPT).read_text())["triple"]
    output_of(*own("mirror", "sync", mirror, "--request", trial.old, "--target", target, "--source", trial.source))
    for archive in mirror.glob("*/cpython-*"):
        output_of("xattr", "-w", QUARANTINE, "0083;00000000;Safari;", archive)
    root = trial.folder / "unmarked"
    apply(trial, trial.old, root, str(mirror))
    [build] = [path for path in root.glob("cpython-*") if not path.is_symlink()]
    must(QUARANTINE not in attributes(build), "files of the build are marked")
    prefix_of(build / "bin" / "python3")


def a_marked_build_starts_once_it_is_unmarked(trial: Trial) -> None:
    """Show how macOS treats a marked interpreter, and what apply.sh does."""
    [build] = [path for path in (trial.folder / "unmarked").glob("cpython-*") if not path.is_symlink()]
    python = (build / "bin" / "python3").resolve()
    output_of("xattr", "-w", QUARANTINE, "0083;00000000;Safari;", python)
    try:
        done = subprocess.run([python, "-V"], capture_output=True, text=True, timeout=20, check=False)
        trial.note(f"marked: exit code {done.returncode}, {(done.stdout + done.stderr).strip()!r}")
    except subprocess.TimeoutExpired:
        trial.note("marked: macOS asks a person")
    subprocess.run(["xattr", "-dr", QUARANTINE, build], capture_output=True, check=False)
    must(QUARANTINE not in attributes(build), "xattr -dr left marks")
    output_of(python, "-V")


# Windows: the finisher, and the system calls that the agents need; tests/agents tests the agents themselves


def windows_unpacks(trial: Trial) -> None:
    mirror = trial.folder / "mirror"
    request = ("--request", trial.minor, "--target", "x86_64-pc-windows-msvc")
    output_of(*own("mirror", "sync", mirror, *request, "--source", trial.source))
    [archive] = mirror.glob("*/cpython-*.tar.gz")
    staging = trial.root / ".standalone-python.staging"
    staging.mkdir(parents=True)
    tar = Path(os.environ.get("SYSTEMROOT", r"C:\Windows")) / "System32" / "tar.exe"
    begun = time.monotonic()
    if tar.is_file():
        output_of(tar, "-xf", archive, "-C", staging)
    else:
        trial.note("Windows' tar.exe (since version 1803) is missing: Python unpacked the archive")
        with tarfile.open(archive) as unpacked:
            unpacked.extractall(staging, filter="data")
    trial.note(f"{time.monotonic() - begun:.1f} s")


def windows_finishes(trial: Trial, tree: Path | None = None) -> None:
    tree = tree or trial.root / ".standalone-python.staging" / "python"
    version = output_of(tree / "python.exe", "-I", "-c", "import sys; print(sys.version.split()[0])")
    listing = tree / files.FOLDER / "files.sha256"
    listing.unlink(missing_ok=True)
    words = [f"tree={tree}", f"final={trial.root / 'final'}", "name=final", f"version={version}"]
    switches = ["externally_managed=1", "compile_bytecode=1", "patch_sysconfig=1", "started=1", f"modules={MODULES}"]
    begun = time.monotonic()
    result = output_of(tree / "python.exe", "-I", "-B", finish.__file__, *words, *switches)
    trial.note(f"{time.monotonic() - begun:.1f} s: {' '.join(result.split())}")
    must("finished=ok" in result, result)
    for line in listing.read_text("utf-8").splitlines():
        content = Path(finish_path(tree, line[66:])).read_bytes()
        must(hashlib.sha256(content).hexdigest() == line[:64], f"{line[66:]} is another than in the list")


def finish_path(tree: Path, relative: str) -> str:
    return files.at(disk.as_it_is(str(tree)), relative)


def windows_long_paths(trial: Trial) -> None:
    """Create paths as long as those of a root in a profile with a long name."""
    staged, deep = trial.root / ".standalone-python.staging" / "python", trial.folder / ("d" * 80)
    deep.mkdir()
    os.rename(staged, deep / "python")
    far = finish_path(deep, f"python/Lib/site-packages/{'f' * 100}")
    os.makedirs(finish_path(deep, f"python/Lib/site-packages/{'f' * 100}/{'g' * 60}"))
    with open(os.path.join(far, "g" * 60, "module.py"), "w") as file:
        file.write("value = 1\n")
    try:
        windows_finishes(trial, deep / "python")
    finally:
        shutil.rmtree(far)
        os.rename(deep / "python", staged)


def windows_held_file(trial: Trial) -> None:
    """Hold a file for a second while it is replaced, as a virus scanner does."""
    path = trial.folder / "held"
    path.write_text("before")
    code = (
        "import ctypes, sys, time; k = ctypes.windll.kernel32; k.CreateFileW.restype = ctypes.c_void_p;"
        "h = k.CreateFileW(sys.argv[1], 0x80000000, 0, None, 3, 0, None); print(h, flush=True); time.sleep(1)"
    )
    holder = subprocess.Popen([sys.executable, "-I", "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    must(bool(holder.stdout and holder.stdout.readline()), "the file could not be held")
    begun = time.monotonic()
    disk.write(str(path), "after")
    trial.note(f"replaced after {time.monotonic() - begun:.1f} s")
    holder.communicate()
    must(path.read_text() == "after", "it was not replaced")


def windows_junction(trial: Trial) -> None:
    """Create a junction without a privilege, read it, start an interpreter through it, and create it again."""
    final, link = trial.root / "final", trial.root / "cpython"
    os.rename(trial.root / ".standalone-python.staging" / "python", final)
    output_of("cmd.exe", "/c", "mklink", "/J", link, final)
    trial.note(f"it leads to {os.readlink(link)}")
    prefix = output_of(link / "python.exe", "-I", "-c", "import ssl, sys; print(sys.prefix)")
    must(Path(prefix) in (link, final), f"it runs from {prefix}")
    output_of(link / "python.exe", "-I", "-m", "venv", trial.folder / "venv")
    trial.note(output_of(trial.folder / "venv" / "Scripts" / "python.exe", "-V"))
    os.rmdir(link)
    must(final.is_dir(), "the build went with its link")


def windows_build_in_use(trial: Trial) -> None:
    """Rename a folder whose interpreter runs, which is the first step of a removal."""
    final = trial.root / "final"
    process = subprocess.Popen([final / "python.exe", "-I", "-c", "input()"], stdin=subprocess.PIPE)
    time.sleep(1)
    try:
        os.rename(final, trial.root / "renamed")
        os.rename(trial.root / "renamed", final)
        trial.note("it can be renamed")
    except OSError as error:
        trial.note(f"it can't be renamed: {error}")
    finally:
        process.communicate(b"\n")


Check = Callable[[Trial], None]
EVERYWHERE: tuple[Check, ...] = (the_system, the_disk)
POSIX: tuple[Check, ...] = (installs, second_run_changes_nothing, damage_is_found, repairs_in_one_step)
MACOS: tuple[Check, ...] = (
    install_name_is_true,
    a_program_can_embed_it,
    a_marked_archive_installs,
    a_marked_build_starts_once_it_is_unmarked,
)
POSIX_END: tuple[Check, ...] = (upgrade_keeps_environments, killed_run_leaves_nothing, removal_leaves_nothing)
ON_WINDOWS: tuple[Check, ...] = (
    windows_unpacks,
    windows_finishes,
    windows_long_paths,
    windows_held_file,
    windows_junction,
    windows_build_in_use,
)


# The other trials use the build that these install.
FIRST = (installs, windows_unpacks)


def checks() -> tuple[Check, ...]:
    """Return this system's trials in their order; later ones use the results of earlier ones."""
    if WINDOWS:
        return EVERYWHERE + ON_WINDOWS
    return EVERYWHERE + POSIX + (MACOS if DARWIN else ()) + POSIX_END


def attempt(check: Check, trial: Trial) -> tuple[str, list[str]]:
    """Return ``so``, ``NOT SO`` or ``not tried``, and the details."""
    trial.notes.clear()
    try:
        check(trial)
    except Unavailable as lack:
        return "not tried", [f"needs {lack}"]
    except AssertionError as wrong:
        return "NOT SO", [*trial.notes, *str(wrong).splitlines()]
    except Exception:
        return "NOT SO", [*trial.notes, *traceback.format_exc().splitlines()[-6:]]
    return "so", list(trial.notes)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--source", default="upstream", help="source of the builds, as in a declaration")
    parser.add_argument("--minor", default="3.13", help="the minor version to test")
    parser.add_argument("--old", default="3.13.1+20250115", help="an older build of that version, of a release before 20251209")
    parser.add_argument("--folder", type=Path, help="an empty folder to work in; by default a temporary one")
    parser.add_argument("--list", action="store_true", help="list the trials of this system")
    options = parser.parse_args(arguments)
    if options.list:
        print("\n".join(check.__name__.replace("_", " ") for check in checks()))
        return 0
    folder = Path(options.folder or tempfile.mkdtemp(prefix="standalone-python-")).resolve()
    folder.mkdir(exist_ok=True)
    if list(folder.iterdir()):
        parser.error(f"{folder} is not empty: name another folder")
    trial = Trial(folder, options.source, options.minor, options.old)
    bad, missing = 0, ""
    print("## standalone-python on a real system\n\n| what | is it so? |\n|---|---|", flush=True)
    try:
        for check in checks():
            verdict, notes = attempt(check, trial) if not missing else ("not tried", [f"needs a build: {missing}"])
            bad += verdict == "NOT SO"
            if check in FIRST and verdict != "so":
                missing = f"see {check.__name__.replace('_', ' ')}"
            text = "<br>".join(note.replace("|", "\\|") for note in notes)
            print(f"| {check.__name__.replace('_', ' ')} | {verdict}{'<br>' + text if text else ''} |", flush=True)
    finally:
        shutil.rmtree(disk.as_it_is(str(folder)), ignore_errors=True)
    print(f"\n{bad} of {len(checks())} are not so." if bad else f"\nAll {len(checks())} are so, or could not be tried here.")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
