# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mach-O libraries for tests, put together from Apple's structures: as much of one as its load commands say that there is."""

from __future__ import annotations

import struct

X86_64, ARM64, I386 = 0x01000007, 0x0100000C, 7
CODE = b"\xc3" * 64
"""What stands where the first section begins, so that a test sees whether it was overwritten."""


def library(
    name: str | None,
    *,
    cpu: int = ARM64,
    padding: int = 512,
    signed: bool = False,
    order: str = "<",
    filetype: int = 6,
    reserved: int = 0,
) -> bytes:
    """A library for one architecture.

    :param name: its install name; None for none
    :param padding: bytes between its load commands and its first section
    :param reserved: bytes more than the install name needs that its load command has
    """
    wide = bool(cpu & 0x01000000)
    step = 8 if wide else 4
    header_size, segment_size = (32, 72 + 80) if wide else (28, 56 + 68)
    identity = b"" if name is None else _identity(name.encode(), step, reserved, order)
    needs = _named(0xC, b"/usr/lib/libSystem.B.dylib", step, 0, order)
    signature_size = 16 if signed else 0
    size = 2 * segment_size + len(identity) + len(needs) + signature_size
    code_at = header_size + size + padding
    link_at = code_at + len(CODE)
    link = b"\xfa\xde\x0c\xc0" + b"signature".ljust(60, b"!")
    commands = [
        _segment(wide, order, b"__TEXT", 0, link_at, b"__text", code_at, len(CODE), 0x80000400),
        # A section that takes no room says the offset 0, or as some linkers do, any.
        _segment(wide, order, b"__DATA", link_at, len(link), b"__bss", 8, 4096, 0x1),
        identity,
        needs,
    ]
    if signed:
        commands.append(struct.pack(order + "IIII", 0x1D, 16, link_at, len(link)))
    body = b"".join(commands)
    count = sum(1 for command in commands if command)
    magic = (0xFEEDFACF if wide else 0xFEEDFACE,)
    header = struct.pack(order + "IIIIIII", *magic, cpu, 0, filetype, count, len(body), 0x85) + b"\0" * (header_size - 28)
    return header + body + b"\0" * padding + CODE + link


def _identity(name: bytes, step: int, reserved: int, order: str) -> bytes:
    return _named(0xD, name, step, reserved, order)


def _named(kind: int, name: bytes, step: int, reserved: int, order: str) -> bytes:
    size = -(-(24 + len(name) + 1 + reserved) // step) * step
    return struct.pack(order + "IIIIII", kind, size, 24, 2, 0x030D0000, 0x030D0000) + name.ljust(size - 24, b"\0")


def _segment(wide: bool, order: str, name: bytes, begin: int, size: int, section: bytes, at: int, room: int, flags: int) -> bytes:
    kind, layout, total = (0x19, "QQQQ", 72 + 80) if wide else (0x1, "IIII", 56 + 68)
    head = struct.pack(order + "II16s" + layout + "iiII", kind, total, name, begin, size, begin, size, 5, 5, 1, 0)
    place = struct.pack(order + "16s16s" + layout[:2] + "IIIIIII", section, name, at, room, at, 4, 0, 0, flags, 0, 0)
    return head + place + (b"\0" * 4 if wide else b"")


def fat(*libraries: tuple[int, bytes], wide: bool = False) -> bytes:
    """A file for several architectures: CPU type and library of each."""
    entries, bodies, at = b"", b"", 4096
    for cpu, content in libraries:
        size = len(content)
        entries += struct.pack(">IIQQII", cpu, 0, at, size, 12, 0) if wide else struct.pack(">IIIII", cpu, 0, at, size, 12)
        bodies += content.ljust(-(-size // 4096) * 4096, b"\0")
        at = 4096 + len(bodies)
    magic = b"\xca\xfe\xba\xbf" if wide else b"\xca\xfe\xba\xbe"
    return (magic + struct.pack(">I", len(libraries)) + entries).ljust(4096, b"\0") + bodies
