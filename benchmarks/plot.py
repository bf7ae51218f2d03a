# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A line chart as SVG text, for light and dark pages. The horizontal axis is logarithmic, the vertical one begins at 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log10
from xml.sax.saxutils import escape

Points = Sequence[tuple[float, float]]

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 60, 250, 40, 50
# Colours that people with any colour vision can tell apart (Okabe and Ito), for a light and a dark page.
COLOURS = (("#0072b2", "#56b4e9"), ("#d55e00", "#e69f00"), ("#009e73", "#2fd6a8"), ("#aa4499", "#cc79a7"))
DASHES = ("none", "7 4", "2 3", "9 3 2 3")


def line_chart(title: str, across: str, up: str, lines: Mapping[str, Points], *, top: float) -> str:
    """Return the SVG of a chart with one line for each name.

    :param across: what the horizontal axis counts
    :param up: what the vertical axis measures
    :param top: the end of the vertical axis
    """
    ticks = sorted({x for points in lines.values() for x, _y in points})
    low, high = log10(ticks[0]), log10(ticks[-1])

    def at_x(x: float) -> float:
        return LEFT + (log10(x) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def at_y(y: float) -> float:
        return HEIGHT - BOTTOM - min(y, top) / top * (HEIGHT - TOP - BOTTOM)

    end = WIDTH - RIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">',
        f"<style>{_style()}</style>",
        f'<rect class="page" width="{WIDTH}" height="{HEIGHT}"/>',
        f'<text class="title" x="{LEFT}" y="22">{escape(title)}</text>',
    ]
    for step in range(5):
        y = top * step / 4
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{end}" y1="{at_y(y):.1f}" y2="{at_y(y):.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{at_y(y) + 4:.1f}" text-anchor="end">{y:g}</text>')
    for x in ticks:
        parts.append(f'<text x="{at_x(x):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{x:,g}</text>')
    parts.append(f'<text x="{(LEFT + end) / 2:.0f}" y="{HEIGHT - 10}" text-anchor="middle">{escape(across)}</text>')
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(f'<text transform="translate(16 {middle:.0f}) rotate(-90)" text-anchor="middle">{escape(up)}</text>')
    for number, (name, points) in enumerate(lines.items()):
        path = " ".join(f"{at_x(x):.1f},{at_y(y):.1f}" for x, y in points)
        y = TOP + 10 + number * 24
        parts.append(f'<polyline class="line line{number}" points="{path}"/>')
        parts.append(f'<line class="line line{number}" x1="{end + 12}" x2="{end + 44}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{end + 50}" y="{y + 4}">{escape(name)}</text>')
    return "\n".join((*parts, "</svg>", ""))


def _style() -> str:
    light = _colours(0, page="#ffffff", text="#24292f", grid="#d0d7de")
    dark = _colours(1, page="#131416", text="#cfd0d0", grid="#3a3d41")
    shapes = "text{font:12px sans-serif}.title{font-weight:bold;font-size:14px}.line{fill:none;stroke-width:2}"
    dashes = "".join(f".line{number}{{stroke-dasharray:{dash}}}" for number, dash in enumerate(DASHES))
    return f"{shapes}{dashes}{light}@media(prefers-color-scheme:dark){{{dark}}}"


def _colours(theme: int, *, page: str, text: str, grid: str) -> str:
    lines = "".join(f".line{number}{{stroke:{colours[theme]}}}" for number, colours in enumerate(COLOURS))
    return f".page{{fill:{page}}}text{{fill:{text}}}.grid{{stroke:{grid}}}{lines}"
