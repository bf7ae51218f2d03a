# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tree of a build, collected from the members of an archive, and the rules for each member. Reads no file."""

from __future__ import annotations

import unicodedata

from ..errors import ContentError, sanitized
from .tarstream import Member

# The tree that goes to a host, by what it is in the archive.
INSTALL_ONLY_TREE = "python"
FULL_TREE = "python/install"
OURS = ".standalone-python"
LISTING = f"{OURS}/files.sha256"

LONGEST_NAME = 4096
DEEPEST = 64
MOST_HOPS = 40
# Limits of a tree: entries, implied folders included; bytes of all names and link targets; path components that are visited to
# resolve all links. A build has 5,000, 300 kB and 20,000.
MOST_ENTRIES = 100_000
MOST_NAMES = 8 << 20
MOST_STEPS = 1_000_000

FILE_SYSTEM_BLOCK = 4096
# Bytes per entry besides its content: the inode, and the name in its folder.
INODE = 512


def check_name(name: str) -> str:
    """Return '' for a name that every tar unpacks inside ``python/``, else what is wrong with it."""
    parts = name.split("/")
    if len(name) > LONGEST_NAME:
        return "has a name too long for a file system"
    if any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in name):
        return "has a control character, a line break or a byte that is not UTF-8 in its name"
    if len(parts) > DEEPEST:
        return f"is more than {DEEPEST} folders deep"
    if "\\" in name:
        return "has a backslash in its name"
    if name.startswith("/"):
        return "has an absolute name"
    if ".." in parts:
        return "has '..' in its name"
    if "" in parts or "." in parts:
        return "has an empty part or '.' in its name"
    if parts[0] != INSTALL_ONLY_TREE:
        return f"is outside {INSTALL_ONLY_TREE}/"
    encoded = name.encode()
    if len(encoded) > LONGEST_NAME or any(len(part.encode()) > 255 for part in parts):
        return "has a name too long for a file system"
    return ""


def check_target(rest: str, target: str) -> str:
    """Return '' for a symbolic link whose target is inside the tree, else what is wrong with it.

    '..' is valid only at the beginning: after a name, which can be a link, only the file system can resolve it.

    :param rest: the link's own path, relative to the tree
    """
    if len(target) > LONGEST_NAME or target.count("/") >= DEEPEST:
        return "is a link to a name that is too long"
    if any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in target) or "\\" in target:
        return "is a link to a name with a control character or a backslash"
    if target.startswith("/"):
        return f"is a link to the absolute path {sanitized(target)}"
    parts = [part for part in target.split("/") if part not in ("", ".")]
    climbs = next((at for at, part in enumerate(parts) if part != ".."), len(parts))
    if climbs > rest.count("/") or ".." in parts[climbs:] or not target:
        return f"is a link that leaves the tree, to {sanitized(repr(target))}"
    return ""


# A path holds a file (its digest), a link (its target) or a folder: named by a member, or implied by a path below it.
_Entry = bytes | str | bool
_NAMED, _IMPLIED = True, False


class Tree:
    """The accepted members, and the rules for the next one. Paths are relative to the tree; '' is the tree."""

    def __init__(self, archive: str, tree: str) -> None:
        self.archive = archive
        self.tree = tree
        self.entries: dict[str, _Entry] = {"": _IMPLIED}
        self.folders: set[str] = set()
        self.unpacked = INODE + FILE_SYSTEM_BLOCK
        self.files = 0
        self.names = 0
        self.steps = 0

    def refuse(self, name: str, reason: str) -> ContentError:
        return ContentError(
            f"the archive {self.archive} is refused: its member {sanitized(ascii(name))} {reason}; "
            "download it again from upstream"
        )

    def refuse_tree(self, reason: str) -> ContentError:
        return ContentError(f"the archive {self.archive} is refused: it {reason}; download it again from upstream")

    def below(self, member: Member) -> str | None:
        """Return the member's path below the tree; None if it is in another part of the archive."""
        wrong = check_name(member.name)
        if wrong:
            raise self.refuse(member.name, wrong)
        if member.name == self.tree:
            return ""
        return member.name.removeprefix(f"{self.tree}/") if member.name.startswith(f"{self.tree}/") else None

    def add(self, rest: str, member: Member) -> list[str]:
        """Accept a member. The caller adds a file's digest to ``entries`` afterwards.

        :returns: the folders above it that no member has named yet, outermost first
        """
        if member.mode & 0o6000:
            raise self.refuse(member.name, "has a set-uid or set-gid bit")
        if rest.partition("/")[0] == OURS:
            raise self.refuse(member.name, "has a name that is reserved for the receipt")
        unnamed = self._place(rest, member)
        if member.kind == "folder":
            self._enter(rest, _NAMED)
        else:
            self._enter(rest, self._content(rest, member))
            self.names += len(member.link)
            self.files += 1
            self.unpacked += on_disk(member.size)
        return unnamed

    def _enter(self, path: str, entry: _Entry) -> None:
        """Add an entry, or name an implied folder, and add its size here and on a host."""
        if path not in self.entries:
            self.names += len(path.encode())
            self.unpacked += INODE + (FILE_SYSTEM_BLOCK if isinstance(entry, bool) else 0)
        self.entries[path] = entry
        if len(self.entries) > MOST_ENTRIES:
            raise self.refuse_tree(f"has more than {MOST_ENTRIES} files, links and folders")
        if self.names > MOST_NAMES:
            raise self.refuse_tree(f"has more than {MOST_NAMES >> 20} MiB of names")

    def _place(self, rest: str, member: Member) -> list[str]:
        unnamed: list[str] = []
        parent = rest
        # What is above a named folder is named too.
        while parent and (parent := parent.rpartition("/")[0]) not in self.folders:
            above = self.entries.get(parent)
            if above is None:
                above = _IMPLIED
                self._enter(parent, above)
            if not isinstance(above, bool):
                raise self.refuse(
                    member.name,
                    f"is below {sanitized(repr(parent))}, which is a {'link' if isinstance(above, str) else 'file'}",
                )
            unnamed.insert(0, parent)
        self.folders.update(unnamed)
        if member.kind == "folder":
            self.folders.add(rest)
        here = self.entries.get(rest)
        if here is None or (here is _IMPLIED and member.kind == "folder"):
            return unnamed
        raise self.refuse(member.name, "already exists as a folder" if here is _IMPLIED else "occurs twice")

    def _content(self, rest: str, member: Member) -> _Entry:
        if member.kind == "file":
            return b""
        if member.kind == "symlink":
            wrong = check_target(rest, member.link)
            if wrong:
                raise self.refuse(member.name, wrong)
            return member.link
        inside = member.link.startswith(f"{self.tree}/")
        other = member.link.removeprefix(f"{self.tree}/")
        first = self.entries.get(other) if inside else None
        if not isinstance(first, bytes):
            raise self.refuse(
                member.name, f"is a hard link to {sanitized(repr(member.link))}, which is not an earlier file of the tree"
            )
        return first

    def listing(self) -> bytes:
        found = ((path.encode(), self._leads_to(path)) for path, entry in self.entries.items() if not isinstance(entry, bool))
        return b"".join(b"%s  %s\n" % (digest.hex().encode(), path) for path, digest in sorted(found) if digest)

    def _leads_to(self, path: str) -> bytes:
        """Return the digest of the file to which a path leads through links; b'' if it leads to no file."""
        todo = path.split("/")[::-1]
        at: list[str] = []
        hops = 0
        while todo:
            part = todo.pop()
            self.steps += 1
            if self.steps > MOST_STEPS:
                raise self.refuse_tree("has links that lead through too many other links")
            if part == "..":
                at.pop()
            if part in ("", ".", ".."):
                continue
            entry = self.entries.get("/".join((*at, part)))
            if isinstance(entry, str):
                hops += 1
                if hops > MOST_HOPS:
                    return b""
                todo += entry.split("/")[::-1]
            elif isinstance(entry, bytes):
                return b"" if todo else entry
            elif entry is None:
                return b""
            else:
                at.append(part)
        return b""


def on_disk(size: int) -> int:
    return -(-size // FILE_SYSTEM_BLOCK) * FILE_SYSTEM_BLOCK
