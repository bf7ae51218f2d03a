# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that makes a delta has little memory at its peak, however large the archives are.

The archives here are as large as upstream's largest. Of their bytes one file is compared and one is new; what both have is copied.
"""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.archives import deltas
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.source import Source
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.store import Payload, Store
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import Build, parse_filename
from tests.tools.playbook import REPOSITORY

# Bytes. Real builds took 67 and 81 MB, see docs/decisions/0017-deltas.md.
MAKER, MIRROR = 80e6, 92e6
NAMES = [
    f"cpython-3.13.{patch}+{tag}-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz"
    for patch, tag in ((1, "20250115"), (2, "20250317"))
]
# Runs a command and prints its peak. Linux counts what a process had before it became another program, so no large process may start it.
MEASURE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=sys.stderr)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024))
"""


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two archives of 60 MB, with a program of 12 MB that grew in its middle."""
    folder, chance = tmp_path_factory.mktemp("releases"), random.Random(5)  # noqa: S311
    common, program, other = chance.randbytes(44 << 20), chance.randbytes(12 << 20), chance.randbytes(4 << 20)
    for number, name in enumerate(NAMES):
        files = {"lib/common": common, "lib/libpython3.13.so.1.0": program, "lib/other": other}
        if number:
            half = len(program) // 2
            # A changed byte in each kilobyte, as addresses change in a program.
            changed = bytearray(program[:half] + chance.randbytes(100_000) + program[half:])
            changed[::1000] = bytes(byte ^ 1 for byte in changed[::1000])
            files |= {"lib/libpython3.13.so.1.0": bytes(changed), "lib/other": b"", "lib/new": other[::-1]}
        release = folder / parse_filename(name).release
        release.mkdir()
        with tarfile.open(release / name, "w:gz", compresslevel=1) as archive:
            for path, content in files.items():
                info = tarfile.TarInfo(f"python/{path}")
                info.size = len(content)
                archive.addfile(info, BytesIO(content))
        digest = hashlib.sha256((release / name).read_bytes()).hexdigest()
        (release / "SHA256SUMS").write_text(f"{digest}  {name}\n")
    rows = [
        f"{path.parent.name}\t{path.name}\t{path.with_name('SHA256SUMS').read_text()[:64]}\n" for path in folder.glob("*/*.gz")
    ]
    (folder / "catalogue.tsv").write_text("tag\tfile\tsha256\n" + "".join(rows))
    return folder


def peak(command: Sequence[str], cache: Path) -> int:
    environment = {**os.environ, "STANDALONE_PYTHON_CACHE": str(cache), "PYTHONPATH": str(REPOSITORY)}
    measure = [sys.executable, "-I", "-c", MEASURE, *command]
    done = subprocess.run(measure, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_the_process_beside_a_run(releases: Path, tmp_path: Path) -> None:
    store, found = Store(tmp_path / "cache"), list[tuple[Build, Payload]]()
    for name in NAMES:
        build, (archive,) = parse_filename(name), releases.glob(f"*/{name}")
        source = Source("archive", str(archive), checksum=archive.with_name("SHA256SUMS").read_text()[:64])
        found.append((replace(build, sha256=source.checksum), store.payload(build, source, zstd=False)))
    (old, _payload), (new, payload) = found
    assert 20e6 < peak(deltas.command_for_run(payload, new.sha256 or "", old, os.getpid()), tmp_path / "cache") < MAKER
    delta = deltas.find(payload, new.sha256 or "", old)
    assert delta is not None
    assert delta.size > 4e6, "the new file and the changes"


def test_a_sync_of_a_mirror(releases: Path, tmp_path: Path) -> None:
    requests = [word for name in NAMES for word in ("--request", name.split("-")[1])]
    given = ["--target", "x86_64-unknown-linux-gnu", "--source", str(releases), "--catalogue", str(releases / "catalogue.tsv")]
    program = str(Path(sys.executable).with_name("standalone-python"))
    command = [program, "--no-progress", "mirror", "sync", str(tmp_path / "mirror"), *requests, *given, "--deltas"]
    assert 20e6 < peak(command, tmp_path / "cache") < MIRROR
    assert len(list((tmp_path / "mirror").glob("*/*.delta"))) == 1
