# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies the packages that users installed into a build to the build that replaces it.

A file is the user's if the old build's list doesn't name it, or if the RECORD of a user's package does. It copies such files in
site-packages, scripts, and what the RECORDs name elsewhere in the build (share, etc, include). It only reads the old build. That
may belong to a user with fewer rights than this process: so it follows no link, and reads only files of that owner or of root.

Sent beside finish.py with launchers.py where users may install packages; standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

WINDOWS = os.name == "nt"
SCRIPTS = "Scripts" if WINDOWS else "bin"
LIST = ".standalone-python/files.sha256"
METADATA = (".dist-info", ".egg-info")
DEEPEST = 100
BLOCK = 1 << 20
MOST_NAMED = 20  # files that were not copied, in a receipt
LARGEST_LAUNCHER = 4 << 20


class Refused(Exception):
    """A file can't be copied: the reason."""


class Carried:
    """What was copied.

    :ivar packages: number of packages
    :ivar files: number of files and links
    :ivar behind: ``PATH: REASON`` of each file that was not copied
    :ivar removed: files of the new build that a user's version of the same package replaces
    """

    __slots__ = ("behind", "files", "packages", "removed")

    def __init__(self) -> None:
        self.packages = self.files = 0
        self.behind: list[str] = []
        self.removed: set[str] = set()

    def named(self) -> list[str]:
        """Return the first files that were not copied, and the number of others."""
        more = len(self.behind) - MOST_NAMED
        shown = [text if text.isprintable() else ascii(text)[1:-1] for text in self.behind[:MOST_NAMED]]
        return shown + (["%d more files" % more] if more > 0 else [])


class Tree:
    """The old build. Paths are relative to it, with ``/``."""

    def __init__(self, top: str) -> None:
        self.top = top
        self.owner = os.lstat(top).st_uid
        self.open_folder: tuple[str, int] = ("", -1)

    def close(self) -> None:
        if self.open_folder[1] >= 0:
            os.close(self.open_folder[1])
        self.open_folder = ("", -1)

    def check_owner(self, status: os.stat_result) -> None:
        if status.st_uid not in (0, self.owner):
            raise Refused("it belongs to another user than the build")

    def folder(self, path: str) -> int:
        """Return a descriptor of a folder, opened without following a link. The last one stays open for the next file."""
        if self.open_folder[1] >= 0 and self.open_folder[0] == path:
            return self.open_folder[1]
        self.close()
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
        here = os.open(self.top, flags)
        try:
            for part in filter(None, path.split("/")):
                below = os.open(part, flags, dir_fd=here)
                os.close(here)
                here = below
                self.check_owner(os.fstat(here))
        except BaseException:
            os.close(here)
            raise
        self.open_folder = (path, here)
        return here

    def place(self, path: str) -> tuple[str, int | None]:
        """Return the name of a path and its folder's descriptor, for system calls."""
        folder, _slash, name = path.rpartition("/")
        if WINDOWS:
            at = self.top
            for part in folder.split("/"):
                at = os.path.join(at, part)
                if is_reparse_point(os.lstat(at)):
                    raise Refused("its folder is a link")
            return os.path.join(at, name), None
        return name, self.folder(folder)

    def status(self, path: str) -> os.stat_result:
        """:raises Refused: it can't be reached, or only through a link"""
        try:
            name, folder = self.place(path)
            return os.stat(name, dir_fd=folder, follow_symlinks=False)
        except OSError as error:
            raise unreadable(error) from error

    def entries(self, path: str) -> list[tuple[str, os.stat_result]]:
        """Return the entries of a folder; none if it does not exist.

        :raises Refused: it can't be listed
        """
        try:
            at = os.path.join(self.top, *path.split("/")) if WINDOWS else self.folder(path)
            with os.scandir(at) as found:
                return sorted((entry.name, entry.stat(follow_symlinks=False)) for entry in found)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise unreadable(error) from error

    def open(self, path: str) -> int:
        """Return a descriptor of a regular file.

        :raises Refused: it is not a regular file, it can't be opened, or another user could have created it
        """
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        try:
            name, folder = self.place(path)
            file = os.open(name, flags, dir_fd=folder)
        except OSError as error:
            raise unreadable(error) from error
        try:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode):
                raise Refused("it is neither a file nor a link")
            self.check_owner(status)
            # Users can hard-link root's files into their folders. Package managers hard-link files from the owner's cache.
            hard_linked = status.st_nlink > 1 and not WINDOWS
            if hard_linked and (status.st_uid != self.owner or os.fstat(self.open_folder[1]).st_mode & 0o022):
                raise Refused("it is a hard link to a file that may be another user's")
        except BaseException:
            os.close(file)
            raise
        return file

    def read(self, path: str) -> str:
        """Return a text of the build; empty if it can't be read."""
        try:
            with open(self.open(path), encoding="utf-8", errors="surrogateescape", newline="") as file:
                return file.read()
        except (OSError, Refused):
            return ""

    def link(self, path: str) -> str:
        """Return the target of a link.

        :raises Refused: another user created it, or it can't be read
        """
        self.check_owner(self.status(path))
        try:
            name, folder = self.place(path)
            return os.readlink(name, dir_fd=folder)
        except OSError as error:
            raise unreadable(error) from error

    def below(self, top: str, carried: Carried) -> Iterator[tuple[str, os.stat_result]]:
        """Return all files and links below a folder; note what can't be listed in `carried`."""
        folders = [top]
        while folders:
            folder = folders.pop()
            try:
                if folder.count("/") > DEEPEST:
                    raise Refused("it is more than %d folders deep" % DEEPEST)
                found = self.entries(folder)
            except Refused as reason:
                carried.behind.append("%s/: %s" % (folder, reason))
                continue
            for name, status in found:
                path = "%s/%s" % (folder, name)
                if stat.S_ISDIR(status.st_mode) and not is_reparse_point(status):
                    folders.append(path)
                else:
                    yield path, status


def unreadable(error: OSError) -> Refused:
    return Refused(error.strerror or "it can't be read")


def is_reparse_point(status: os.stat_result) -> bool:
    """Return whether it is a link or a junction on Windows."""
    return bool(getattr(status, "st_file_attributes", 0) & getattr(stat, "FILE_ATTRIBUTE_REPARSE_POINT", 0x400))


def recorded(text: str, packages: str) -> set[str]:
    """Return the paths in a package's RECORD, relative to the build; without those outside of it."""
    found = set()
    for line in text.splitlines():
        path = line.rsplit(",", 2)[0]
        if path[:1] == path[-1:] == '"':
            path = path[1:-1].replace('""', '"')
        path = os.path.normpath(os.path.join(packages, path)).replace(os.sep, "/")
        if path and not os.path.isabs(path) and path.split("/")[0] not in ("..", ".", ".standalone-python"):
            found.add(path)
    return found


def package_name(folder: str) -> str:
    """Return a package's name, ``Foo_Bar-1.0.dist-info`` -> foo-bar, by PyPA's specifications of names and installed projects."""
    name = folder.rpartition(".")[0].partition("-")[0].lower()
    return "-".join(part for part in name.replace("_", "-").replace(".", "-").split("-") if part)


def tops(paths: Iterator[str], packages: str) -> set[str]:
    """Return the metadata folders (or files) of packages in site-packages."""
    begin = len(packages) + 1
    names = (path[begin:].partition("/")[0] for path in paths if path.startswith(packages + "/"))
    return {name for name in names if name.endswith(METADATA)}


def source_of(path: str) -> str:
    """Return the module of a bytecode file in a __pycache__; empty for other files."""
    folder, _slash, name = path.rpartition("/")
    if not name.endswith(".pyc") or not folder.endswith("/__pycache__"):
        return ""
    return "%s/%s.py" % (folder.rpartition("/")[0], name.partition(".cpython-")[0])


class Copier:
    """Copies files of the old build into the new one, which only this process uses yet."""

    def __init__(self, tree: Tree, top: str, was: str, final: str, owner: int, group: int, launchers: Any) -> None:
        self.tree, self.top, self.was, self.final = tree, top, was, final
        self.owner, self.group, self.launchers = owner, group, launchers
        self.folders: dict[str, os.stat_result] = {}

    def at(self, path: str) -> str:
        return os.path.join(self.top, *path.split("/"))

    def own(self, target: str | int, status: os.stat_result) -> None:
        """Set the declared owner, or else the owner of the copied file."""
        if WINDOWS or os.geteuid() != 0:
            return
        owner = status.st_uid if self.owner == -1 else self.owner
        group = status.st_gid if self.group == -1 else self.group
        if isinstance(target, int):
            os.fchown(target, owner, group)
        else:
            os.chown(target, owner, group, follow_symlinks=False)

    def make_room(self, path: str) -> None:
        """Create the folders above a file.

        :raises Refused: the new build has something else there
        """
        parts = path.split("/")
        for count in range(1, len(parts)):
            folder = "/".join(parts[:count])
            at = self.at(folder)
            if os.path.islink(at) or (os.path.lexists(at) and not os.path.isdir(at)):
                raise Refused("%s of the new build is in the way" % folder)
            if not os.path.isdir(at):
                self.folders[folder] = self.tree.status(folder)
                os.mkdir(at)
        if os.path.lexists(self.at(path)):
            raise Refused("the new build has a file of that name")

    def copy(self, path: str) -> None:
        """:raises Refused: it can't be copied"""
        source = self.tree.open(path)
        try:
            self.make_room(path)
            status = os.fstat(source)
            blocks = self.blocks(source, path, status)
            first = next(blocks, b"")
            at = self.at(path)
            target = os.open(at, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
            try:
                write_all(target, first)
                for block in blocks:
                    write_all(target, block)
                if not WINDOWS:
                    self.own(target, status)
                    os.fchmod(target, stat.S_IMODE(status.st_mode) & 0o777)
            except Refused:
                os.unlink(at)
                raise
            finally:
                os.close(target)
            os.utime(at, ns=(status.st_atime_ns, status.st_mtime_ns))
        finally:
            os.close(source)

    def blocks(self, source: int, path: str, status: os.stat_result) -> Iterator[bytes]:
        """Return the content of a file, with the interpreter's new path."""
        block = read_block(source)
        if self.was != self.final and path.startswith(SCRIPTS + "/"):
            if WINDOWS and path.lower().endswith(".exe") and status.st_size <= LARGEST_LAUNCHER:
                while len(block) < status.st_size and (more := read_block(source)):
                    block += more
                block = self.launchers.patch_launcher(block, self.was, self.final)
                if not block:
                    raise Refused("it is a launcher of the old build: use python -m, or install the package again")
            elif not WINDOWS:
                block = self.launchers.patch_head(block, self.was, self.final)
        while block:
            yield block
            block = read_block(source)

    def link(self, path: str) -> None:
        """:raises Refused: it can't be copied"""
        target = self.tree.link(path)
        status = self.tree.status(path)
        if target.startswith(self.was + "/"):
            target = self.final + target[len(self.was) :]
        self.make_room(path)
        os.symlink(target, self.at(path))
        self.own(self.at(path), status)

    def set_modes_of_folders(self) -> None:
        """Called last, as a folder may be read-only."""
        for folder, status in () if WINDOWS else sorted(self.folders.items(), reverse=True):
            self.own(self.at(folder), status)
            os.chmod(self.at(folder), stat.S_IMODE(status.st_mode) & 0o777)


def read_block(file: int) -> bytes:
    """:raises Refused: the disk can't read it"""
    try:
        return os.read(file, BLOCK)
    except OSError as error:
        raise unreadable(error) from error


def write_all(file: int, block: bytes) -> None:
    while block:
        block = block[os.write(file, block) :]


def remove_package(top: str, packages: str, folder: str) -> set[str]:
    """Remove a package of the new build by its RECORD; return the removed paths."""
    gone = set()
    try:
        with open(os.path.join(top, *packages.split("/"), folder, "RECORD"), encoding="utf-8", newline="") as file:
            paths = recorded(file.read(), packages)
    except OSError:
        paths = set()
    for name in os.listdir(os.path.join(top, *packages.split("/"), folder)):
        paths.add("%s/%s/%s" % (packages, folder, name))
    for path in sorted(paths):
        at, name = os.path.split(os.path.join(top, *path.split("/")))
        cache = os.path.join(at, "__pycache__")
        stem = name[:-2] if name.endswith(".py") else "\0"
        made = [os.path.join(cache, pyc) for pyc in (os.listdir(cache) if os.path.isdir(cache) else ()) if pyc.startswith(stem)]
        for target in (os.path.join(at, name), *made):
            if os.path.lexists(target) and not os.path.isdir(target):
                os.unlink(target)
                gone.add(os.path.relpath(target, top).replace(os.sep, "/"))
    for path in sorted({os.path.dirname(path) for path in gone}, key=len, reverse=True):
        while path not in ("", packages) and path.startswith(packages + "/"):
            try:
                os.rmdir(os.path.join(top, *path.split("/")))
            except OSError:
                break
            path = os.path.dirname(path)
    return gone


def bring(
    old: str,
    new: str,
    library: str,
    entries: Mapping[str, str],
    launchers: Any,
    was: str,
    final: str,
    owner: int = -1,
    group: int = -1,
) -> Carried:
    """Copy the user's files of the build `old` into the build `new`, which is being finished.

    :param library: the standard library's folder, relative to both builds
    :param entries: the list of files of the new build
    :param launchers: the module of that name
    :param was: the old build's folder on the host itself; `final`: the new one's
    :param owner: number of the owner of copied files, and `group`; -1: as in the old build
    :raises OSError: the new build can't be written
    """
    carried = Carried()
    if not os.path.isdir(old) or os.path.islink(old) or os.path.exists(os.path.join(old, library, "EXTERNALLY-MANAGED")):
        return carried
    tree = Tree(old)
    try:
        _bring(tree, Copier(tree, new, was, final, owner, group, launchers), library + "/site-packages", entries, carried)
    finally:
        tree.close()
    return carried


def _bring(tree: Tree, copier: Copier, packages: str, entries: Mapping[str, str], carried: Carried) -> None:
    # An old build without a list is the same build, which is repaired: its files are the new build's.
    listed = {line[66:] for line in tree.read(LIST).split("\n") if line[66:]} or set(entries)
    found = {path: status for top in (packages, SCRIPTS) for path, status in tree.below(top, carried)}
    bundled = tops(iter(listed), packages)
    users = tops(iter(found), packages) - bundled
    records = {name: recorded(tree.read("%s/%s/RECORD" % (packages, name)), packages) for name in users}
    names = {package_name(name): name for name in users}
    instead: set[str] = set()
    for folder in sorted(tops(iter(entries), packages)):
        name = names.get(package_name(folder))
        if name is None:
            continue
        if records[name]:
            carried.removed |= remove_package(copier.top, packages, folder)
            instead |= records[name]
        else:
            users.remove(name)
            found = {path: status for path, status in found.items() if not path.startswith("%s/%s/" % (packages, name))}
            carried.behind.append("%s/%s: it has no RECORD, and the new build has that package" % (packages, name))
    owned = {path for name in users for path in records[name]}
    chosen = {path for path in found if path in owned or path not in listed}
    chosen = {path for path in chosen if not source_of(path) or source_of(path) in chosen}
    for path in owned - found.keys() - listed:
        try:
            found[path] = tree.status(path)
            chosen.add(path)
        except Refused:
            continue
    links = {path for path in chosen if stat.S_ISLNK(found[path].st_mode)}
    for path in (*sorted(chosen - links), *sorted(links)):  # links last, so that no file is written through one
        try:
            if path in instead and os.path.lexists(copier.at(path)) and not os.path.isdir(copier.at(path)):
                os.unlink(copier.at(path))
                carried.removed.add(path)
            (copier.link if path in links else copier.copy)(path)
            carried.files += 1
        except Refused as reason:
            carried.behind.append("%s: %s" % (path, reason))
    copier.set_modes_of_folders()
    carried.packages = sum(os.path.lexists(copier.at("%s/%s" % (packages, name))) for name in users)
