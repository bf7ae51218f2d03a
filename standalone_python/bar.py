# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One line about a task: a bar that fits a terminal, or a sentence for a log. All of it is ASCII, which each terminal shows."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import sanitized

_UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
# Letters. The shortest name is that of a version, such as cpython-3.13.1.
_LONGEST_BAR, _SHORTEST_BAR, _SHORTEST_NAME = 30, 8, 14
# What a line shows, from the widest terminal to the narrowest one.
_LAYOUTS = (
    ("name", "bar", "amount", "speed", "time"),
    ("name", "amount", "speed", "time"),
    ("name", "amount", "time"),
    ("name", "percent", "time"),
    ("percent", "time"),
    ("time",),
)


@dataclass(frozen=True, slots=True)
class Status:
    """How far a task is.

    :ivar elapsed: seconds
    :ivar done: bytes
    :ivar total: bytes; None if the size is unknown
    :ivar speed: bytes a second; 0 if it is unknown
    """

    verb: str
    name: str
    elapsed: float
    done: int = 0
    total: int | None = None
    speed: float = 0.0

    @property
    def figures(self) -> dict[str, str]:
        """Amount, percent, speed, and the time that is left or has passed; each is empty if it is unknown."""
        left = (self.total - self.done) / self.speed if self.total and self.speed else None
        figures = {"time": _clock(self.elapsed) if left is None else f"{_clock(max(left, 0))} left"}
        if self.done or self.total:
            unit, name = next(((unit, name) for unit, name in _UNITS if max(self.total or 0, self.done) >= unit), (1, "B"))
            figures["amount"] = f"{self.done / unit:.1f}{f'/{self.total / unit:.1f}' if self.total else ''} {name}"
            figures["percent"] = f"{100 * self.done // self.total}%" if self.total else figures["amount"]
        if self.speed:
            figures["speed"] = f"{self.speed / 1e6:.1f} MB/s" if self.speed >= 1e6 else f"{self.speed / 1e3:.0f} kB/s"
        return figures


def bar(status: Status, width: int) -> str:
    """Return the line for a terminal, shorter than its ``width``."""
    name, figures = sanitized(status.name), status.figures
    for layout in _LAYOUTS:
        right = "".join(f"  {figures[key]}" for key in layout if figures.get(key))
        room = width - 1 - len(status.verb) - len(right)
        name_needs = 1 + min(_SHORTEST_NAME, len(name)) if "name" in layout else 0
        bar_needs = _SHORTEST_BAR + 4 if "bar" in layout and status.total else 0
        if room >= name_needs + bar_needs:
            break
    words = status.verb
    if name_needs:
        words += f" {_shortened(name, room - bar_needs - 1)}"
    if bar_needs:
        length = min(_LONGEST_BAR, width - 1 - len(words) - len(right) - 4)
        filled = min(length, length * status.done // (status.total or 1))
        words += f"  [{'#' * filled}{'.' * (length - filled)}]"
    return f"{words}{right}"[: width - 1]


def sentence(status: Status) -> str:
    """Return the line for a log."""
    figures = status.figures
    return f"{status.verb} {sanitized(status.name)}: {', '.join(figures[key] for key in _LAYOUTS[1] if key in figures)}"


def _shortened(name: str, room: int) -> str:
    """Return the beginning of a name; of a build's name whole parts, such as ``cpython-3.13.1+20250115``."""
    if len(name) <= room:
        return name
    end = max(name.rfind(separator, 0, room + 1) for separator in "-+")
    return name[: end if end >= _SHORTEST_NAME else room].rstrip()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"
