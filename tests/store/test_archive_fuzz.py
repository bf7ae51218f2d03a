# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives that are wrong in ways that nobody thought of: members, headers, names, links and packed streams, mutated by chance.

Whatever comes is refused in one sentence, or its payload is exactly what the host's tar unpacks of the archive itself. Seeds are
fixed, so a failure comes again; ``FUZZ`` in the environment is how many archives there are.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import random
import resource
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.archives import archive, compression
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.tree import LISTING, OURS
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import LONGEST_SENTENCE, ContentError
from tests.store.support import Entry, folder, gz, hardlink, symlink, tar, tree, zst

MANY = int(os.environ.get("FUZZ", "1000"))
SHARES = 4
TARS = [name for name in ("tar", "bsdtar", "busybox") if shutil.which(name)]

NAMES = (
    *(
        "python",
        "python/a",
        "python/a/b",
        "python/a/b/c",
        "python/bin/python3.13",
        "python/lib",
        "python/",
        "python//a",
        "python/./a",
    ),
    *(
        "python/../a",
        "/python/a",
        "pythonx",
        "",
        ".",
        "..",
        "python/..",
        "python/a\0b",
        "python/a\nb",
        "python/a\\b",
        "python/\x1b[2J",
    ),
    *("python/\u00fc", "python/\udcff", "python/-rf", "python/" + "n" * 101, "python/" + "n" * 255, "python/" + "n" * 256),
    *(
        "python/" + "d/" * 40 + "deep",
        "python/" + "d/" * 90 + "deep",
        "python/" + "long/" * 40 + "x",
        "python/a ",
        "python/ a",
        "python/a/",
    ),
    *("python/.standalone-python/receipt.json", "PYTHON/a", "python/A"),
)
TARGETS = (
    "a",
    "b",
    "a/b",
    "../a",
    "../../a",
    "..",
    ".",
    "/",
    "/etc",
    "",
    "./a",
    "a/../b",
    "python/a",
    "a//b",
    "bin",
    "c" * 101,
    "c" * 300,
    "\u00fc",
    "a\n",
)
PAX = (
    *({"path": "python/a"}, {"linkpath": "a"}, {"size": "7"}, {"mtime": "1.5"}, {"path": "../a"}, {"GNU.sparse.major": "1"}),
    *({"comment": "x" * 600}, {"uname": "\u00fc"}, {"SCHILY.xattr.user.a": "b"}, {"hdrcharset": "BINARY"}),
)
KINDS = (*(bytes([kind]) for kind in b"0123457LKxgSDVMN"), b"\0", b"\xff")


def entry(chance: random.Random) -> Entry:
    name = chance.choice(NAMES)
    kind = chance.choice((tarfile.REGTYPE,) * 6 + (tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, *KINDS))
    content = chance.randbytes(chance.choice((0, 1, 511, 512, 513, 3000))) if kind == tarfile.REGTYPE else b""
    link = chance.choice((*TARGETS, *NAMES)) if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
    return Entry(
        name,
        content,
        kind,
        link,
        chance.choice((0o644, 0o755, 0o4755, 0o2755, 0)),
        dict(chance.choice(PAX)) if chance.random() < 0.1 else {},
    )


def members(chance: random.Random) -> bytes:
    """A good tree, some of it left out, twice or in another order, among members of any kind."""
    some = [one for one in tree() if chance.random() < 0.95]
    for _unused in range(chance.choice((0, 0, 1, 1, 2, 3))):
        some.insert(chance.randrange(len(some) + 1), chance.choice((entry(chance), entry(chance), chance.choice(some))))
    if chance.random() < 0.1:
        chance.shuffle(some)
    some += chance.choice(
        ([], [folder("python/z"), symlink("python/z/l", "../bin"), hardlink("python/z/h", "python/bin/python3.13")])
    )
    try:
        return tar(some, chance.choice((tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT)))
    except (ValueError, UnicodeEncodeError):
        return tar(tree())  # what the dialect can't say


def summed(data: bytearray, at: int) -> None:
    """Make a header's checksum right again."""
    data[at + 148 : at + 156] = b"        "
    data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])


def one_byte(chance: random.Random, data: bytearray) -> None:
    data[chance.randrange(len(data))] = chance.randrange(256)


def one_header(chance: random.Random, data: bytearray) -> None:
    """A byte of a block that may be a header, and most often with the sum that makes it believed."""
    at = 512 * chance.randrange(len(data) // 512)
    field = chance.choice(
        ((0, 100), (100, 108), (124, 136), (136, 148), (156, 157), (157, 257), (257, 265), (345, 500), (0, 512))
    )
    data[at + chance.randrange(*field)] = chance.choice(
        (0, 32, 47, 46, 48, 55, 128, 255, chance.randrange(256), *KINDS[chance.randrange(len(KINDS))])
    )
    if chance.random() < 0.9:
        summed(data, at)


def one_size(chance: random.Random, data: bytearray) -> None:
    at = 512 * chance.randrange(len(data) // 512)
    data[at + 124 : at + 136] = chance.choice(
        (b"%011o\0" % chance.randrange(5000), b"\x80" + chance.randbytes(11), b"\xff" * 12, b"-0000000001\0", b"77777777777\0")
    )
    summed(data, at)


def one_kind(chance: random.Random, data: bytearray) -> None:
    at = 512 * chance.randrange(len(data) // 512)
    data[at + 156 : at + 157] = chance.choice(KINDS)
    summed(data, at)


def blocks(chance: random.Random, data: bytearray) -> None:
    """Blocks are lost, come twice, elsewhere, or with zeros between them."""
    count = len(data) // 512
    begin = 512 * chance.randrange(count)
    end = begin + 512 * chance.randrange(1, 4)
    some, at = data[begin:end], 512 * chance.randrange(count)
    what = chance.randrange(4)
    if what in (0, 2):
        del data[begin:end]
    if what:
        data[at:at] = some if what < 3 else bytes(512 * chance.randrange(1, 3))


def cut(chance: random.Random, data: bytearray) -> None:
    del data[chance.randrange(len(data)) :]


MUTATIONS: tuple[Callable[[random.Random, bytearray], None], ...] = (
    one_byte,
    one_header,
    one_header,
    one_size,
    one_kind,
    blocks,
    cut,
)


def stream(chance: random.Random, packed: bytes) -> bytes:
    """The packed bytes as they are, most often; else damaged, cut off, or with more after them."""
    data = bytearray(packed)
    what = chance.randrange(24)
    if what == 0:
        one_byte(chance, data)
    elif what == 1:
        cut(chance, data)
    elif what == 2:
        data += chance.choice((b"\0" * 20, b"garbage", packed, gzip.compress(b""), gzip.compress(bytes(512))))
    elif what == 3:
        at = chance.randrange(len(data))
        data[at : at + chance.randrange(30)] = chance.randbytes(chance.randrange(30))
    return bytes(data)


def hostile(chance: random.Random) -> bytes:
    data = bytearray(members(chance))
    for _unused in range(chance.choice((0, 0, 0, 1, 1, 2))):
        if len(data) >= 512:
            chance.choice(MUTATIONS)(chance, data)
    return stream(chance, zst(bytes(data)) if chance.random() < 0.05 else gz(bytes(data)))


Tree = Mapping[str, str]
"""Path -> what is there: ``folder``, ``link TARGET``, or ``file`` with the hash of its content."""


def in_payload(payload: bytes) -> tuple[Tree, Mapping[str, str]]:
    """What a payload has, and what the list in it says of its files."""
    found: dict[str, str] = {}
    listed: dict[str, str] = {}
    with tarfile.open(fileobj=io.BytesIO(payload), mode="r:gz") as opened:
        for info in opened:
            content = opened.extractfile(info) if info.isreg() or info.islnk() else None
            data = content.read() if content else b""
            if info.name == f"python/{LISTING}":
                listed = {line[66:]: line[:64] for line in data.decode().splitlines()}
            elif not info.name.startswith(f"python/{OURS}"):
                found[info.name] = (
                    "folder"
                    if info.isdir()
                    else f"link {info.linkname}"
                    if info.issym()
                    else f"file {hashlib.sha256(data).hexdigest()}"
                )
    return found, listed


def on_disk(top: Path) -> Tree:
    found: dict[str, str] = {}
    for where, folders, files in os.walk(top):
        for name in (*folders, *files):
            path = Path(where, name)
            shown = str(path.relative_to(top))
            if path.is_symlink():
                found[shown] = f"link {os.readlink(path)}"
            else:
                found[shown] = "folder" if path.is_dir() else f"file {hashlib.sha256(path.read_bytes()).hexdigest()}"
    return found


def unpacked(path: Path, to: Path, program: str) -> Tree:
    to.mkdir()
    with path.open("rb") as file:
        packer = ["zstd", "-dcq"] if file.read(4) == compression.MAGIC["zst"] else ["gzip", "-dcq"]
    plain = subprocess.run([*packer, path], capture_output=True, check=True).stdout
    command = ["busybox", "tar"] if program == "busybox" else [program]
    subprocess.run([*command, "-xof", "-"], input=plain, cwd=to, capture_output=True, check=True)
    found = on_disk(to)
    shutil.rmtree(to)
    return found


@pytest.mark.parametrize("share", range(SHARES))
def test_whatever_comes_is_refused_or_unpacks_to_what_is_listed(tmp_path: Path, share: int) -> None:
    taken = refused = 0
    slowest = 0.0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for seed in range(share, MANY, SHARES):
        path = tmp_path / "a"
        path.write_bytes(hostile(random.Random(seed)))  # noqa: S311
        out = io.BytesIO()
        began = time.process_time()
        try:
            found = archive.pack(path, "python", out, "gz")
        except ContentError as error:
            refused += 1
            sentence = str(error)
            assert sentence.isprintable(), seed
            assert len(sentence) <= LONGEST_SENTENCE, seed
        else:
            taken += 1
            made, listed = in_payload(out.getvalue())
            assert made == unpacked(path, tmp_path / "out", TARS[seed // SHARES % len(TARS)]) | {"python": "folder"}, seed
            files = {
                name.removeprefix("python/"): said.removeprefix("file ")
                for name, said in made.items()
                if said.startswith("file ")
            }
            assert listed.items() >= files.items(), seed
            assert found.files == len([said for said in made.values() if said != "folder"]), seed
        slowest = max(slowest, time.process_time() - began)
    assert min(taken, refused) > MANY // SHARES // 10, "chance has to make both kinds"
    assert slowest < 5
    unit = 1 if sys.platform == "darwin" else 1024
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit < 64 << 20
