# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the operation yields: a change of a host, as one command that pyinfra executes, and a failure that it reports."""

from __future__ import annotations

from contextlib import AbstractContextManager
from logging import DEBUG

from pyinfra import logger
from pyinfra.api.arguments import ConnectorArguments
from pyinfra.api.command import PyinfraCommand
from pyinfra.api.host import Host
from pyinfra.api.output import format_text
from pyinfra.api.state import State

from .core import (
    COMMANDS,
    DECISIONS,
    Decision,
    Desired,
    SlowDownloads,
    StandalonePythonError,
    Supply,
    TransportError,
    advisory_warnings,
    carry_out,
    libraries_explained,
    listening,
    result_data,
)
from .transport import ConnectorHost


class Change(PyinfraCommand):
    """Carries out what was decided: sends what the host needs, runs one script, and believes only what is observed afterwards."""

    def __init__(self, desired: Desired, supply: Supply, decision: Decision) -> None:
        super().__init__()
        self._desired = desired
        self._supply = supply
        self._decision = decision

    def __repr__(self) -> str:
        return "; ".join(map(str, self._decision.plan.steps))

    def execute(self, state: State, host: Host, connector_arguments: ConnectorArguments) -> bool:
        from .reporting import today

        try:
            with libraries_explained(), ConnectorHost(host, connector_arguments) as there:
                if self._desired.token and self._desired.delivery == "pull" and not there.piped:
                    raise TransportError(
                        "with _get_pty or _su_password other users of the host could read the token that it is given: "
                        "use delivery: push; the host is as it was"
                    )
                with listened(host):
                    done = carry_out(there, self._desired, self._supply, self._decision, fleet=there.fleet)
            for remark in (*self._supply.remarks, *done.remarks):
                logger.warning(f"{host.print_prefix}{remark}")
            for warning in advisory_warnings(result_data(done.plan, done.after)["interpreters"], today()):
                _warn_once(warning)
        except StandalonePythonError as error:
            return say(host, str(error))
        return True


class Failure(PyinfraCommand):
    """What can't be done on this host, in a sentence; other hosts go on."""

    def __init__(self, sentence: str) -> None:
        super().__init__()
        self._sentence = sentence

    def __repr__(self) -> str:
        return self._sentence

    def execute(self, state: State, host: Host, connector_arguments: ConnectorArguments) -> bool:
        return say(host, self._sentence)


def listened(host: Host) -> AbstractContextManager[None]:
    """Show slow downloads of the block; with -v addresses and decisions, with -vv or --debug also commands."""
    state = host.state
    debug = logger.isEnabledFor(DEBUG)
    level = COMMANDS if debug or state.print_input else DECISIONS if state.print_fact_info else 0

    def show(text: str) -> None:
        logger.info(text)

    def show_trace(text: str) -> None:
        (logger.debug if debug else logger.info)(f"{host.print_prefix}{text}")

    return listening(SlowDownloads(show, show_trace, level))


_WARNED: set[str] = set()


def _warn_once(warning: str) -> None:
    """Warn once a fleet about a build that several hosts have."""
    if warning not in _WARNED:
        _WARNED.add(warning)
        logger.warning(warning)


def say(host: Host, sentence: str) -> bool:
    """Tell the user what failed on a host; False, as a command that failed returns."""
    logger.error(f"{host.print_prefix}{format_text(sentence, 'red')}")
    return False
