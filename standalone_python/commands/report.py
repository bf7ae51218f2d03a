# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``report``: what is wrong with the interpreters of a fleet. It observes hosts, and changes nothing on them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from shutil import get_terminal_size
from typing import Any

import click

from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import ContentError, TransportError
from ansible_collections.standalone.python.plugins.plugin_utils.core.reporting import FORMATS, failure, report_of, write_text
from ansible_collections.standalone.python.plugins.plugin_utils.core.security.report import FAIL_ON, Report
from ansible_collections.standalone.python.plugins.plugin_utils.core.security.results import (
    HostResult,
    read_results,
    unobserved,
)

from .. import output
from ..exits import DIFFERS
from ..report_table import count, lines
from ..words import Choice

# Bytes of a file with results: those of 10,000 hosts, with all facts that Ansible gathers of them.
LARGEST_FILE = 200 << 20
_EXPECTED = "give the output of 'standalone-python status --json', or results of the module interpreters_info"


@click.command()
@click.argument("files", metavar="[FILE]...", nargs=-1)
@click.option("-i", "--inventory", "inventories", multiple=True, metavar="INVENTORY", help="Observe its hosts through Ansible.")
@click.option("--root", "roots", multiple=True, metavar="ROOT", help="The folder that holds the builds; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@click.option("--csv", "as_table", is_flag=True, help="Print CSV, a line for each host and line of interpreters.")
@click.option("--html", metavar="FILE", help="Write a page with charts and a table: one file that needs no network.")
@click.option("--prometheus", metavar="FILE", help="Write metrics for the textfile collector of Prometheus' node_exporter.")
@click.option("--cyclonedx", metavar="FILE", help="Write a CycloneDX document of all builds in use, with open advisories.")
@click.option(
    "--fail-on",
    "conditions",
    multiple=True,
    type=Choice(list(FAIL_ON)),
    help="Exit with 2 if this is found; may be repeated. `high` includes critical.",
)
def report(
    files: Sequence[str],
    inventories: Sequence[str],
    roots: Sequence[str],
    as_json: bool,
    as_table: bool,
    html: str | None,
    prometheus: str | None,
    cyclonedx: str | None,
    conditions: Sequence[str],
) -> int:
    """Show what is wrong with the interpreters of a fleet, the worst first.

    Each FILE holds JSON that hosts or plays left: the output of `status --json`, results of the module interpreters_info by host,
    or pyinfra's fact ("-" is standard input). With -i the hosts of an Ansible inventory are observed. Without both it is this
    machine. Hosts that could not be observed are listed with the reason.

    \b
    standalone-python report
    standalone-python report -i hosts.ini --fail-on high
    """
    if as_json and as_table:
        raise click.UsageError("--json and --csv both print to standard output: give one of them")
    if roots and files and not inventories:
        raise click.UsageError("--root is for hosts that are observed now: leave it out, as each FILE has its own root")
    made = report_of(_results(files, inventories, roots))
    for path, form in ((html, "html"), (prometheus, "prometheus"), (cyclonedx, "cyclonedx")):
        if path:
            write_text(path, FORMATS[form](made))
    if as_json:
        click.echo(FORMATS["json"](made), nl=False)
    elif as_table:
        click.echo(FORMATS["csv"](made), nl=False)
        output.tell_remarks(made.remarks)
    else:
        for text, colour in lines(made, _width()):
            output.line(text, colour=colour)
    return _failed(made, conditions)


def _failed(made: Report, conditions: Sequence[str]) -> int:
    """Tell what was found of that on which the command fails; return the exit code."""
    if why := failure(made, conditions):
        output.line(f"standalone-python: {why}", err=True)
    if conditions and made.unreachable and "unreachable" not in conditions:
        output.line(f"standalone-python: {count(made.unreachable, 'host')} could not be observed and may fail too", err=True)
    return DIFFERS if why else 0


def _results(files: Sequence[str], inventories: Sequence[str], roots: Sequence[str]) -> Iterator[HostResult]:
    for path in files:
        yield from read_results(_parsed(path), _shown(path), _host_of(path))
    for inventory in inventories:
        yield from _of_inventory(inventory, roots)
    if not files and not inventories:
        yield from _of_this_machine(roots)


def _of_inventory(inventory: str, roots: Sequence[str]) -> Iterator[HostResult]:
    from ..inventory import observe_all, why

    for root in dict.fromkeys(roots or ("",)):
        for answer in observe_all(inventory, {"root": root} if root else {}, "give files with results of hosts"):
            if answer.reached:
                yield from read_results({answer.host: answer.result}, f"the result of {answer.host}")
            else:
                yield unobserved(answer.host, why(answer))


def _of_this_machine(roots: Sequence[str]) -> Iterator[HostResult]:
    import platform

    from ansible_collections.standalone.python.plugins.plugin_utils.core.ensure import observe
    from ansible_collections.standalone.python.plugins.plugin_utils.core.info import info
    from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import observing

    from ..local import LocalHost

    name = platform.node() or "this machine"
    for root in dict.fromkeys(roots or ("",)):
        whole = root if root.startswith(("/", "~/")) or not root else os.path.abspath(root)
        desired = observing({"root": whole} if whole else {})
        with LocalHost() as host:
            observed = observe(host, host.placed(desired), facts="yes", processes=True)
        yield from read_results({name: info(observed)}, "this machine")


def _parsed(path: str) -> Any:
    """
    :raises TransportError: the file can't be read
    :raises ContentError: it is too large, or not JSON
    """
    shown = _shown(path)
    try:
        if path == "-":
            text = sys.stdin.buffer.read(LARGEST_FILE + 1)
        else:
            with open(path, "rb") as file:
                text = file.read(LARGEST_FILE + 1)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise TransportError(f"cannot read {shown} ({why}): check the path and its permissions") from None
    if len(text) > LARGEST_FILE:
        raise ContentError(f"cannot read {shown}: it has more than {LARGEST_FILE >> 20} MB; {_EXPECTED}")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ContentError(f"cannot read {shown}: it is not JSON ({error}); {_EXPECTED}") from None


def _shown(path: str) -> str:
    return "standard input" if path == "-" else path


def _host_of(path: str) -> str:
    """Return the name of the host whose result a file is, where the file does not tell it: the file's own name."""
    return _shown(path) if path == "-" else os.path.basename(path).removesuffix(".json")


def _width() -> int | None:
    """Return the columns of the terminal; None where the output goes elsewhere and COLUMNS is not set."""
    return get_terminal_size().columns if sys.stdout.isatty() or os.environ.get("COLUMNS") else None
