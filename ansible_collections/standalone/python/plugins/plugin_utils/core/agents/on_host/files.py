# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Walks, hashes, lists and counts the files of a build.

Sent beside finish.py; standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FOLDER = ".standalone-python"
LIST = FOLDER + "/files.sha256"
SBOM = FOLDER + "/sbom.cdx.json"  # scanners recognise the file by the end of its name
WINDOWS = os.name == "nt"


class Incomplete(Exception):
    """The tree lacks files, or has others: a sentence."""

    code = "content"


def at(folder: str, relative: str) -> str:
    """Return a path of the list, in `folder`. Windows takes no ``/`` in paths that begin with ``\\\\?\\``."""
    return os.path.join(folder, *relative.split("/"))


class Walked:
    """The files of a tree, and its links with their targets. Paths are relative to the tree, with ``/``."""

    __slots__ = ("files", "links")

    def __init__(self) -> None:
        self.files: list[str] = []
        self.links: dict[str, str] = {}


class Access:
    """The owner and group of all files (-1: unchanged), and the mode of folders and executables; other files get it without
    execution."""

    __slots__ = ("group", "mode", "owner")

    def __init__(self, mode: int, owner: int, group: int) -> None:
        self.mode, self.owner, self.group = mode, owner, group

    def apply(self, path: str, status: os.stat_result) -> None:
        """Set owner and mode where they differ. A link is not followed, and has no mode."""
        owned = self.owner in (-1, status.st_uid) and self.group in (-1, status.st_gid)
        if not owned:
            os.chown(path, self.owner, self.group, follow_symlinks=False)
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFLNK:
            return
        wanted = self.mode if kind == stat.S_IFDIR or status.st_mode & 0o111 else self.mode & ~0o111
        if stat.S_IMODE(status.st_mode) != wanted:
            os.chmod(path, wanted)


def walk(tree: str, access: Access) -> Walked:
    """Set the access of everything in `tree` but `FOLDER`, and return its entries.

    :raises Incomplete: for what is neither file, folder nor link
    """
    walked = Walked()

    def visit(folder: str, relative: str) -> None:
        with os.scandir(folder) as entries:
            for entry in entries:
                path = relative + entry.name
                if path == FOLDER:
                    continue
                status = entry.stat(follow_symlinks=False)
                kind = stat.S_IFMT(status.st_mode)
                if kind == stat.S_IFREG:
                    walked.files.append(path)
                elif kind == stat.S_IFLNK:
                    walked.links[path] = os.readlink(entry.path).replace(os.sep, "/")
                elif kind == stat.S_IFDIR:
                    # Contents first, as the folder's new mode may forbid searching it.
                    visit(entry.path, path + "/")
                else:
                    raise Incomplete("%s is neither a file, a folder nor a link" % path)
                if not WINDOWS:
                    access.apply(entry.path, status)

    visit(tree, "")
    return walked


def leading_to(links: Mapping[str, str], changed: set[str]) -> set[str]:
    """Return the links that lead to one of `changed`, also through other links."""
    aims = {link: os.path.normpath(os.path.join(os.path.dirname(link), aim)).replace(os.sep, "/") for link, aim in links.items()}
    found = set(changed)
    while True:
        more = {link for link, aim in aims.items() if aim in found and link not in found}
        if not more:
            return found - changed
        found |= more


def parse_list(text: str) -> dict[str, str]:
    """Return path to checksum of ``HEX  path`` lines."""
    lines = text.split("\n")[:-1]
    bad = [number for number, line in enumerate(lines, 1) if line[64:66] != "  " or not line[66:]]
    if bad or (text and not text.endswith("\n")):
        raise Incomplete("line %d of %s can't be read" % ((bad or [len(lines) + 1])[0], LIST))
    return {line[66:]: line[:64] for line in lines}


def format_list(entries: Mapping[str, str]) -> str:
    return "".join("%s  %s\n" % (entries[path], path) for path in sorted(entries))


def digest_of(path: str) -> str:
    import hashlib

    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def digests(tree: str, files: Iterable[str], links: Iterable[str]) -> dict[str, str]:
    """Return path to SHA-256, for files and for links to files in the tree."""
    found = {path: digest_of(at(tree, path)) for path in files}
    for path in links:
        real = os.path.realpath(at(tree, path))
        if real.startswith(tree + os.sep) and os.path.isfile(real):
            aim = os.path.relpath(real, tree).replace(os.sep, "/")
            found[path] = found.get(aim) or digest_of(real)
    return found


def reconcile(tree: str, entries: Mapping[str, str], walked: Walked, changed: set[str]) -> dict[str, str]:
    """Return the list with new checksums for what `changed`, and without what was removed.

    :raises Incomplete: a listed file is missing
    """
    here = {*walked.files, *walked.links}
    lost = sorted(entries.keys() - here - changed)
    # If the file system ignores case, names that differ only in case are one file with the last content.
    merged = [path for path in lost if os.path.lexists(at(tree, path))]
    gone = [path for path in lost if path not in merged]
    if gone:
        more = " and %d more" % (len(gone) - 1) if len(gone) > 1 else ""
        raise Incomplete("%s%s of the build's list is missing" % (gone[0], more))
    if merged:
        folded = {path.casefold() for path in merged}
        changed = changed | {path for path in here if path.casefold() in folded}
    changed = changed | leading_to(walked.links, changed)
    kept = {path: digest for path, digest in entries.items() if path in here and path not in changed}
    fresh = digests(tree, changed.intersection(walked.files), changed.intersection(walked.links))
    return {**kept, **fresh}


def count_modules(tree: str) -> int:
    """Return the number of entries in the standard library and lib-dynload, as observe.sh counts them."""

    def count(folder: str) -> int:
        names = os.listdir(folder) if os.path.isdir(folder) else []
        return sum(name[0] != "." and name != "__pycache__" for name in names)

    if WINDOWS:
        return count(at(tree, "Lib")) + count(at(tree, "DLLs"))
    libraries = [tree + "/lib/" + name for name in os.listdir(tree + "/lib") if name.startswith("python3.")]
    return sum(count(library) + count(library + "/lib-dynload") for library in libraries)


def executable_of(tree: str, version: str, flags: str) -> str:
    """Return the interpreter's path, relative to the tree."""
    minor = ".".join(version.split(".")[:2])
    names = ["bin/python" + minor, "bin/python" + minor + flags, "bin/python3", "python.exe"]
    for name in names:
        if os.path.exists(at(tree, name)):
            return name
    raise Incomplete("the build has none of %s" % ", ".join(names))


def bundled_packages(files: Iterable[str]) -> str:
    """Return the metadata folders of the build's own packages, separated by spaces."""
    parts = (path.split("/site-packages/", 1)[-1].partition("/")[0] for path in files if "/site-packages/" in path)
    return " ".join(sorted({part for part in parts if part.endswith(".dist-info")}))


def library_of(tree: str) -> str:
    """Return the standard library's folder of a tree whose interpreter isn't this one."""
    found = [tree + "/lib/" + name for name in sorted(os.listdir(tree + "/lib")) if name.startswith("python3.")]
    for folder in found:
        if os.path.isfile(folder + "/os.py") and os.path.realpath(folder) == folder:
            return folder
    raise Incomplete("the build has no lib/python3.*/os.py")


def stale_bytecode(tree: str, files: Iterable[str], moment: int | None) -> list[str]:
    """Return the bytecode of the archive that records another time than its source has, or will have if `moment` is given.

    Python replaces such a file at the first import, and the build would then differ from its list.
    """
    stale = []
    for path in files:
        folder, cached, name = path.rpartition("__pycache__/")
        if not cached or not name.endswith(".pyc"):
            continue
        try:
            modified = int(os.stat(at(tree, folder + name.partition(".")[0] + ".py")).st_mtime)
        except FileNotFoundError:
            continue
        with open(at(tree, path), "rb") as file:
            header = file.read(16)  # PEP 552: magic number, flags, time and size of the source
        expected = (modified if moment is None else moment) & 0xFFFFFFFF
        if header[4:8] == bytes(4) and int.from_bytes(header[8:12], "little") != expected:
            stale.append(path)
    return stale
