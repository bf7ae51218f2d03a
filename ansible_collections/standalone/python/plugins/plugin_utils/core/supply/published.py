# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of the deltas that a mirror publishes: ``deltas.tsv`` beside its catalogue. No I/O.

A list of its own, as older versions refuse a catalogue with other rows. The path of a delta is made from the checked name of its
build, so no row can name another file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import astuple, dataclass

from ..builds.catalogue import Build, is_build

DELTAS = "deltas.tsv"
ENDING = ".delta"
HEADER = "tag\tfile\tsha256\tbase\tsize\tdelta\ttar\tkilobytes\tinodes\n"
_DIGEST, _NUMBER = "[0-9a-f]{64}", "[0-9]{1,12}"
_ROW = re.compile("\t".join(("[0-9]{8}", r"cpython-[^\t/\\]+", _DIGEST, _DIGEST, _NUMBER, _DIGEST, _DIGEST, _NUMBER, _NUMBER)))


@dataclass(frozen=True, slots=True)
class Published:
    """A delta of a mirror.

    :ivar archive: SHA-256 of the build's archive; ``base``: of the older build's archive
    :ivar size: of the delta in bytes; 0 if it would not be small enough, so that there is none
    :ivar sha256: of the delta; ``tar``: of the tar that it makes
    :ivar need_kb: kilobytes that unpacking needs; ``inodes``: the same in inodes
    """

    release: str
    filename: str
    archive: str
    base: str
    size: int
    sha256: str
    tar: str
    need_kb: int
    inodes: int

    @property
    def name(self) -> str:
        return _name(self.filename, self.base)

    @property
    def path(self) -> str:
        """The path below the mirror."""
        return f"{self.release}/{self.name}"


def can_have_delta(build: Build) -> bool:
    """Return whether mirrors make deltas to such a build."""
    return build.compression == "gz"


def path_of_delta(build: Build, base: Build) -> str:
    """Return the path below a mirror of the delta from an older build."""
    return f"{build.release}/{_name(build.filename, base.sha256 or '')}"


def _name(filename: str, base: str) -> str:
    return f"{filename}.from-{base[:12]}{ENDING}"


def parse_published(text: str) -> tuple[Published, ...]:
    """Return the deltas of a list. A row that is not valid is ignored: without it the whole archive is used."""
    found = []
    for line in text.splitlines():
        if _ROW.fullmatch(line):
            tag, file, archive, base, size, sha256, tar, need_kb, inodes = line.split("\t")
            if is_build(file):
                found.append(Published(tag, file, archive, base, int(size), sha256, tar, int(need_kb), int(inodes)))
    return tuple(found)


def format_published(listed: Iterable[Published]) -> str:
    """Return the text of a list; the same deltas give the same text."""
    rows = sorted("\t".join(map(str, astuple(one))) for one in listed)
    return HEADER + "".join(f"{row}\n" for row in rows)
