# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/scale.md has the tables that benchmarks/paper.py computes; docs/performance.md has every benchmark and the plot that fleet.py writes."""

from __future__ import annotations

import re
import sys
from dataclasses import fields
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from ansible_collections.standalone.python.plugins.modules import interpreters
from benchmarks import fleet, paper
from benchmarks.plot import line_chart
from tests.tools.documented import documented
from tests.tools.pages import REPOSITORY, commands, files

SCALE, PERFORMANCE = "docs/scale.md", "docs/performance.md"
TRIED = {SCALE: [*files(SCALE).values(), *commands(SCALE)], PERFORMANCE: commands(PERFORMANCE)}
SVG = "{http://www.w3.org/2000/svg}"


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)  # noqa: S314 # it is this project's own


def page(name: str) -> str:
    return (REPOSITORY / name).read_text()


@pytest.mark.parametrize("command", commands(SCALE))
def test_the_tables_are_those_that_the_script_prints(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also with figures that are measured; measuring takes minutes, so the inputs stand in for it."""
    monkeypatch.setattr(paper, "measured", lambda _hosts, _rounds: paper.INPUTS)
    monkeypatch.setattr(sys, "argv", ["paper", *command.split()[3:]])
    assert command.startswith("python -m benchmarks.paper")
    paper.main()
    printed = capsys.readouterr().out
    for table in paper.tables():
        assert table in page(SCALE)
        assert table in printed
    assert f"({paper.CORES} of them)" in page(SCALE)
    assert f"({paper.FORKS} at a time)" in page(SCALE)


def test_every_input_is_listed_with_its_figure() -> None:
    listed = re.findall(r"^\| `(\w+)` \| ([0-9.,]+) ", page(SCALE), re.MULTILINE)
    assert {name: float(figure.replace(",", "")) for name, figure in listed} == {
        field.name: getattr(paper.INPUTS, field.name) for field in fields(paper.INPUTS)
    }


def test_what_takes_longest_decides() -> None:
    inputs = paper.Inputs(payload=90, archive=90, scripts=0, check=0, push_cpu=0, pull_cpu=0, check_cpu=0, host=2)
    assert paper.seconds(inputs, 100, 225e6, 0, 1) == 4
    assert paper.seconds(inputs, 100, 2250e6, 0, 1) == 20
    assert paper.seconds(inputs, 100, 2250e6, 1, 10) == 25


def test_the_options_of_the_group_exist() -> None:
    (text,) = files(SCALE).values()
    options = {f"interpreters_{name}" for name in documented(interpreters)["options"]}
    assert set(yaml.safe_load(text)) <= options


def test_every_benchmark_is_on_the_page() -> None:
    runnable = {path.stem for path in (REPOSITORY / "benchmarks").glob("*.py") if "\ndef main(" in path.read_text()}
    assert runnable <= set(re.findall(r"benchmarks\.(\w+)", page(PERFORMANCE)))


@pytest.mark.parametrize("command", commands(PERFORMANCE))
def test_the_plot_is_made_by_its_command(command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With the core alone and few hosts; the one in the documentation has more lines."""
    words = command.split()
    assert words[:3] == ["python", "-m", "benchmarks.fleet"]
    plot = tmp_path / Path(words[words.index("--svg") + 1]).name
    monkeypatch.setattr(fleet, "fresh", fleet.core_cost)
    monkeypatch.setattr(sys, "argv", ["fleet", "--core", "--rounds", "1", "--hosts", "50", "--svg", str(plot)])
    fleet.main()
    made, shown = (parsed(path.read_text()) for path in (plot, REPOSITORY / "docs/images" / plot.name))
    assert made.find(f"{SVG}style") is not None
    assert [element.text for element in made.iter(f"{SVG}style")] == [element.text for element in shown.iter(f"{SVG}style")]
    assert f"images/{plot.name}" in page(PERFORMANCE)
    assert len(list(shown.iter(f"{SVG}polyline"))) == 4


def test_a_chart() -> None:
    chart = parsed(line_chart("a < b", "hosts", "cost", {"one": [(10, 1), (1000, 3)]}, top=2))
    (line,) = chart.iter(f"{SVG}polyline")
    (first, last) = (tuple(map(float, point.split(","))) for point in line.attrib["points"].split())
    # What is above the end of the axis is drawn at its end.
    assert first[0] < last[0]
    assert first[1] > last[1] == 40
    assert "a < b" in [text.text for text in chart.iter(f"{SVG}text")]
