# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the operation `report` yields: it observes every host of the run, and writes one report on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gevent.pool import Pool
from pyinfra import logger
from pyinfra.api.arguments import ConnectorArguments
from pyinfra.api.command import PyinfraCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.context import ctx_host, ctx_state

from .commands import say
from .core import StandalonePythonError, libraries_explained, sanitized
from .facts import Interpreters
from .reporting import FORMATS, Format, HostResult, failure, read_results, report_of, unobserved, write_text

_FAILED = "it is not connected, or an earlier operation failed on it"
# Hosts that are observed at the same time, where pyinfra's configuration names no number.
_PARALLEL = 20


class WriteReport(PyinfraCommand):
    """Observes all hosts when it is executed, so that what earlier operations changed is in the report."""

    def __init__(self, dest: str, form: Format, fail_on: tuple[str, ...], root: str) -> None:
        super().__init__()
        self._dest = dest
        self._form = form
        self._fail_on = fail_on
        self._root = root

    def __repr__(self) -> str:
        return f"write {self._dest}"

    def execute(self, state: State, host: Host, connector_arguments: ConnectorArguments) -> bool:
        try:
            with libraries_explained():
                report = report_of(self._results(state))
                write_text(self._dest, FORMATS[self._form](report))
        except StandalonePythonError as error:
            return say(host, str(error))
        for remark in report.remarks:
            logger.warning(f"{host.print_prefix}{remark}")
        why = failure(report, self._fail_on)
        return say(host, why) if why else True

    def _results(self, state: State) -> Iterator[HostResult]:
        hosts = [host for host in state.inventory if state.is_host_in_limit(host)]
        active = [host for host in hosts if host in state.active_hosts]
        # A pool of its own: this runs in a place of pyinfra's, which may have no other.
        pool = Pool(state.config.PARALLEL or _PARALLEL)
        facts = dict(zip(active, pool.map(lambda host: self._fact(state, host), active), strict=True))
        for host in hosts:
            found = facts.get(host, _FAILED)
            if isinstance(found, str):
                yield unobserved(host.name, found)
            else:
                yield from read_results({host.name: found}, f"the fact of {host.name}")

    def _fact(self, state: State, host: Host) -> dict[str, Any] | str:
        """Return the fact of a host, or why it is missing."""
        with ctx_state.use(state), ctx_host.use(host):
            try:
                found = host.get_fact(Interpreters, root=self._root, _ignore_errors=True)
            except Exception as error:  # whatever a connector raises concerns this host only
                return sanitized(str(error)) or type(error).__name__
        return found if found is not None else "its answer could not be read: see the error above"
