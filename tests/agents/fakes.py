# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fake builds: a few small files, whose interpreter is a shell script that plays one.

It answers ``-I -V``, and where it is given the finisher it leaves a receipt as that one would. The finisher itself is never run.
With ``windows`` they lie as Windows has them; the interpreter is still a shell script, for PowerShell on this machine, unless this
is Windows.
FAKE_TRIAL is the exit code of what ``-c`` gives it: the first start of a build that was installed from outside.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shlex
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import Build, parse_filename, parse_name
from tests.agents import on_windows
from tests.tools.windows import HERE

RELEASE = "20250115"
TRIPLE = "x86_64-unknown-linux-gnu"
INSTALLED_AT = "2025-01-15T00:00:00Z"
LIST = ".standalone-python/files.sha256"
RECEIPT = ".standalone-python/receipt.json"
SWITCHES = ("externally_managed", "compile_bytecode", "patch_sysconfig")

# FAKE_HOOK names a file of functions, with which a test gets in between; FAKE_PYTHON names an interpreter that runs the
# few lines which the agents give to one; without it the fake fails there, as one without ctypes does.
INTERPRETER = r"""#!/bin/sh
here=${0%@IN@}
[ -z "${FAKE_HOOK-}" ] || . "$FAKE_HOOK"
case "$1 $2" in
  '-I -V') echo 'Python @VERSION@'; exit ;;
  '-I -B') ;;
  *) echo "what is $1?" >&2; exit 2 ;;
esac
[ "$3" != -X ] || shift 2
if [ "$3" = -S ]; then
  [ -n "${FAKE_PYTHON-}" ] || exit 9
  [ -z "${FAKE_HOOK-}" ] || before_finish
  "$FAKE_PYTHON" "$@"
  code=$?
  [ -z "${FAKE_HOOK-}" ] || after_finish
  exit $code
fi
[ "$3" != -c ] || exit "${FAKE_TRIAL-0}"
shift 3
case $1 in
  confirm=*)
    sed 's/"started": false/"started": true/' "$here/.standalone-python/receipt.json" >"${1#confirm=}" || exit
    echo finished=ok
    exit ;;
esac
[ -z "${FAKE_HOOK-}" ] || before_finish
. "$here/.standalone-python/fake"
{
  echo '{'
  for word; do
    key=${word%%=*}
    value=${word#*=}
    case $key in
      tree | root | former) ;;
      final) case $value in *[\\\"]*) ;; *) echo " \"prefix\": \"$value\"," ;; esac ;;
      externally_managed | compile_bytecode | patch_sysconfig)
        if [ "$value" = 1 ]; then echo " \"$key\": true,"; else echo " \"$key\": false,"; fi ;;
      *) echo " \"$key\": \"$value\"," ;;
    esac
  done
  echo " \"executable\": \"@EXECUTABLE@\","
  echo " \"files_sha256\": \"$files_sha256\","
  echo " \"installed_at\": \"@INSTALLED_AT@\","
  echo " \"modules\": $modules"
  echo '}'
} >"$here/.standalone-python/receipt.json" || exit
[ -z "${FAKE_HOOK-}" ] || after_finish
echo finished=ok
"""


def fake(text: str) -> Build:
    """The build that stands for ``3.13.1``, ``3.13.1+20250317``, or with a flavor ``3.13.1 full``."""
    version, _, flavor = text.partition(" ")
    version, _, release = version.partition("+")
    ending = "pgo+lto-full.tar.zst" if flavor == "full" else "install_only_stripped.tar.gz"
    return parse_filename(f"cpython-{version}+{release or RELEASE}-{TRIPLE}-{ending}")


def executable_of(build: Build, windows: bool = False) -> str:
    return "python.exe" if windows else f"bin/python{build.version.minor_line}"


def files_of(build: Build, padding: int = 0, windows: bool = False) -> dict[str, bytes | str]:
    """Path in the build -> content, or of a link where it leads; with about ``padding`` bytes that no packer makes smaller."""
    minor = build.version.minor_line
    script = on_windows.INTERPRETER if HERE else INTERPRETER
    script = script.replace("@VERSION@", str(build.version)).replace("@EXECUTABLE@", executable_of(build, windows))
    script = script.replace("@IN@", "/*" if windows else "/bin/*").replace("@INSTALLED_AT@", INSTALLED_AT)
    files: dict[str, bytes | str] = (
        {
            "python.exe": on_windows.program(script) if HERE else script.encode(),
            "Lib/os.py": f"# of {build.name}\n".encode(),
            "Lib/json/__init__.py": b"",
            "Lib/encodings/__init__.py": b"",
            "Lib/site-packages/README.txt": b"packages\n",
            "DLLs/_json.pyd": b"MZ",
            "share/it's odd, $HOME.txt": b"odd\n",
        }
        if windows
        else {
            f"bin/python{minor}": script.encode(),
            "bin/python3": f"python{minor}",
            "bin/python": f"python{minor}",
            f"lib/python{minor}/os.py": f"# of {build.name}\n".encode(),
            f"lib/python{minor}/json/__init__.py": b"",
            f"lib/python{minor}/lib-dynload/_json.so": b"\x7fELF",
            f"lib/python{minor}/site-packages/README.txt": b"packages\n",
            'share/it\'s "odd" $HOME.txt': b"odd\n",
        }
    )
    if padding:
        block = b"".join(hashlib.sha256(str(n).encode()).digest() for n in range(padding // 32))
        files["lib/libpython.so"] = block
    listed = {path: content for path, content in files.items() if isinstance(content, bytes)}
    listed |= {path: listed[f"bin/{to}"] for path, to in files.items() if isinstance(to, str)}
    text = "".join(f"{hashlib.sha256(listed[path]).hexdigest()}  {path}\n" for path in sorted(listed)).encode()
    files[LIST] = text
    # The folder's own entries (os.py, json, lib-dynload, site-packages) and those of lib-dynload; or those of Lib and DLLs.
    files[".standalone-python/fake"] = f"modules=5 files_sha256={hashlib.sha256(text).hexdigest()}\n".encode()
    return files


def receipt_of(build: Build, sha256: str = "", url: str = "", windows: bool = False, **changed: Any) -> dict[str, Any]:
    """What the receipt of a fake says, apart from the tool's name."""
    said: dict[str, Any] = dict.fromkeys(("owner", "group", "mode"), "")
    said |= {
        "name": build.name,
        "version": str(build.version),
        "release": build.release,
        "triple": build.triple,
        "options": build.options,
        "flavor": build.flavor,
        "filename": build.filename,
        "sha256": sha256,
        "url": url,
        "externally_managed": True,
        "compile_bytecode": False,
        "patch_sysconfig": True,
        "executable": executable_of(build, windows),
        "files_sha256": hashlib.sha256(_bytes(files_of(build, windows=windows)[LIST])).hexdigest(),
        "installed_at": INSTALLED_AT,
        "modules": 5,
    }
    return said | changed


def write(build: Build, folder: Path, receipt: str | None = "", padding: int = 0, windows: bool = False) -> None:
    """The build as the fake finisher leaves it; another text for its receipt, or None for none."""
    for path, content in files_of(build, padding, windows).items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            place.symlink_to(content)
        else:
            place.write_bytes(content)
            place.chmod(0o755 if path.startswith("bin/") or path == "python.exe" else 0o644)
    if receipt is not None:
        (folder / RECEIPT).write_text(receipt or json.dumps(receipt_of(build, windows=windows), indent=1) + "\n", newline="\n")


def archive(build: Build, to: Path, form: str = "gz", *, top: str = "python", padding: int = 0, windows: bool = False) -> Path:
    """The archive that a host unpacks, of form ``gz`` or ``zst``; the tree is at ``top`` in it."""
    buffer = io.BytesIO()
    folders: set[str] = set()

    def put_folders(path: str) -> None:
        parts = path.split("/")[:-1]
        for count in range(1, len(parts) + 1):
            name = "/".join(parts[:count])
            if name not in folders:
                folders.add(name)
                member = tarfile.TarInfo(name)
                member.type, member.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(member)

    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        if top != "python":
            put_folders("python/build/object.o")
            member = tarfile.TarInfo("python/build/object.o")
            tar.addfile(member)
        for path, content in files_of(build, padding, windows).items():
            put_folders(f"{top}/{path}")
            member = tarfile.TarInfo(f"{top}/{path}")
            member.mode = 0o755 if path.startswith("bin/") or path == "python.exe" else 0o644
            # An owner that is not the one who unpacks.
            member.uid = member.gid = 4711
            if isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
                tar.addfile(member)
            else:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    raw = buffer.getvalue()
    packed_path = to / f"{build.name}-{padding}.tar.{form}"
    if form == "zst":
        packed = subprocess.run(["zstd", "-q", "-c"], input=raw, capture_output=True, check=True).stdout
    else:
        packed = gzip.compress(raw, 1, mtime=0)
    packed_path.write_bytes(packed)
    return packed_path


def halve(path: Path) -> int:
    """Pack an archive in two halves that both name their folders, as the controller does; return the bytes of the first one."""
    unpacker = "zstd" if path.suffix == ".zst" else "gzip"
    raw = subprocess.run([unpacker, "-dc", path], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        members = tar.getmembers()
    begins = members[len(members) // 2].offset
    folders = b"".join(member.tobuf() for member in members if member.isdir() and member.offset < begins)
    halves = [
        subprocess.run([unpacker, "-c"], input=half, capture_output=True, check=True).stdout
        for half in (raw[:begins], folders + raw[begins:])
    ]
    path.write_bytes(b"".join(halves))
    return len(halves[0])


def write_program(path: Path, out: str = "", errors: str = "", code: int = 0) -> None:
    """One that only prints that and ends."""
    if HERE:
        script = f"import sys\nsys.stdout.write({out!r})\nsys.stderr.write({errors!r})\nsys.exit({code})\n"
        path.write_bytes(on_windows.program(script))
    else:
        path.write_text(f"#!/bin/sh\nprintf %s {shlex.quote(out)}\nprintf %s {shlex.quote(errors)} >&2\nexit {code}\n")
        path.chmod(0o755)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def is_build(folder: Path) -> bool:
    return (folder / ".standalone-python").is_dir() and parse_name(folder.name) is not None


def state_of(folder: Path, padding: int = 0, windows: bool = False) -> str:
    """``build 3.13.1`` for a whole one, else what is wrong with it."""
    build = parse_filename(f"{folder.name}.tar.{'zst' if folder.name.endswith('-full') else 'gz'}")
    expected = files_of(build, padding, windows)
    found = {path: content for path, content in read(folder).items() if path != RECEIPT}
    for path in sorted(expected.keys() | found.keys()):
        if expected.get(path) != found.get(path):
            return f"broken build: {path}"
    try:
        said = json.loads((folder / RECEIPT).read_text())
    except (OSError, ValueError) as error:
        return f"broken build: {error}"
    wanted = receipt_of(build, said.get("sha256", ""), said.get("url", ""), windows)
    wanted["files_sha256"] = hashlib.sha256(_bytes(expected[LIST])).hexdigest()
    differing = sorted(key for key in wanted if said.get(key) != wanted[key])
    release = "" if build.release == RELEASE else f"+{build.release}"
    note = f" ({', '.join(f'{key} {said.get(key)}' for key in differing)})" if differing else ""
    return f"build {build.version}{release}{note}"


def read(folder: Path) -> Mapping[str, bytes | str]:
    found: dict[str, bytes | str] = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = str(path.readlink())
        elif path.is_file():
            found[name] = path.read_bytes()
    return found


def _bytes(content: bytes | str) -> bytes:
    assert isinstance(content, bytes)
    return content
