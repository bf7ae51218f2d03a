# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole flow: observe a host, plan, deliver, apply, and observe again. Only the second observation proves a change.

A front end provides a :class:`Host`, which runs a script in the host's shell and sends a file. If nothing has to change, the host
runs one script, and neither the catalogue nor the network is used.

A front end that decides at one time and acts at another calls :func:`decide` and :func:`carry_out` instead of :func:`ensure`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from . import progress
from .agents import sh
from .builds.catalogue import Build
from .builds.request import Request
from .errors import LONGEST_TEXT, AgentError, ObservationError, sanitized
from .memory import remember
from .state.answer import UNFINISHED
from .state.choice import Resolve, newest_installed
from .state.declaration import Desired
from .state.observed import Observed, judged, parse, relocated
from .state.paths import joined, native
from .state.plan import confirmations, plan
from .state.process import BLIND
from .state.step import Clear, Plan, Remove, Step, predict, seen

if TYPE_CHECKING:
    from pathlib import Path

    from .delivery import BuildProvider


@dataclass(frozen=True, slots=True)
class Completed:
    """The exit code and the complete output of a script on a host."""

    code: int
    output: str
    errors: str


class Host(Protocol):
    def run(self, script: str) -> Completed:
        """Give ``script`` to the host's POSIX shell, by standard input where that is possible; or to its PowerShell, where the
        declaration is one for Windows hosts."""

    def upload(self, path: Path, name: str) -> str:
        """Bring a file to the host under a name that is its own in this run, where the script's user can read it; returns its
        path there."""


@dataclass(frozen=True, slots=True)
class Result:
    """``before`` and ``after`` are the host as observed; in check mode ``after`` is what a run would make of it."""

    plan: Plan
    before: Observed
    after: Observed

    @property
    def remarks(self) -> tuple[str, ...]:
        """Warnings that do not fail the run."""
        told = [*self.after.remarks, *self.plan.remarks]
        receipts = {installed.name: installed.receipt for installed in self.after.installed}
        for step in self.plan.installs:
            receipt = receipts.get(step.build.name)
            if receipt and receipt.not_carried:
                told.append(f"not copied from {step.carry} to {step.build.name}: {sanitized('; '.join(receipt.not_carried))}")
        removed = [step.name for step in self.plan.removals if step.unless_used]
        if removed and self.after.sight in BLIND:
            told.append(f"{BLIND[self.after.sight]}: a process may have run from {joined(removed)}; if so, restart it")
        return tuple(told)

    @property
    def changed(self) -> bool:
        return bool(self.plan)


@dataclass(frozen=True, slots=True)
class Decision:
    """The changes that a declaration needs on an observed host. None of them is made yet."""

    plan: Plan
    observed: Observed


Look = Callable[[sh.Facts], Observed]
"""Observes the host in question."""


_TRIES = 3  # of a plan, each made of what the one before found changed


class _FactsNeeded(Exception):
    """The plan needs facts about the host, which were not observed yet."""


def _renderer(desired: Desired) -> Any:
    """Return the module that renders scripts for the host's shell. PowerShell's is imported only for Windows hosts."""
    if not desired.windows:
        return sh
    from .agents import powershell

    return powershell


def observe(
    host: Host,
    desired: Desired,
    *,
    facts: sh.Facts,
    environment: Mapping[str, str] = sh.NOTHING,
    processes: bool = False,
) -> Observed:
    """
    :param processes: look for the processes that run from builds, too; an image has none
    :raises ObservationError: the host's answer can't be read
    """
    if not processes and begins_quickly(desired, facts):
        completed = run(host, "observe", sh.observation(desired, facts=facts, environment=environment, quick=True))
        if not is_unfinished(completed):
            return _as_on_host(desired, read(completed))
        # As a rule something has to change then, for which the kind of host has to be known.
        facts = "yes"
    processes = processes and desired.image is None
    script = _renderer(desired).observation(desired, facts=facts, environment=environment, processes=processes)
    return _as_on_host(desired, read(run(host, "observe", script)))


def begins_quickly(desired: Desired, facts: sh.Facts) -> bool:
    """Return whether to try a quick look at a host first. Some shells read a script letter by letter, so a host in order gets a
    short one.

    Builds of another owner are always unusual, so the first script has everything.
    """
    return facts == "no" and desired.verify == "quick" and not desired.windows and not desired.finish.owner


def is_unfinished(completed: Completed) -> bool:
    """Return whether a quick look found something unusual, so that the host needs the whole script."""
    return UNFINISHED in completed.output.splitlines()


def run(host: Host, what: str, script: str) -> Completed:
    """Run a script on a host; the trace has its time.

    :param what: what the script does, in a word
    """
    with progress.timed(progress.COMMANDS, f"{what}: a script of {len(script)} letters to the host"):
        return host.run(script)


def ensure(
    host: Host,
    desired: Desired,
    supply: BuildProvider,
    *,
    check: bool = False,
    environment: Mapping[str, str] = sh.NOTHING,
    fleet: int = 0,
) -> Result:
    """Make the changes that ``desired`` needs on ``host``; with ``check``, predict them and change nothing.

    :param fleet: the process whose hosts are reached over a network, so that deltas pay; 0 if a file gets to the host for nothing
    :raises StandalonePythonError: with a sentence for the user; the host is then as it was, or the error says that it isn't
    """

    def look(facts: sh.Facts) -> Observed:
        return observe(host, desired, facts=facts, environment=environment)

    decision = decide(desired, supply, look, check=check)
    if check:
        return Result(decision.plan, decision.observed, predict(decision.plan, decision.observed, desired))
    return carry_out(host, desired, supply, decision, environment=environment, fleet=fleet)


def decide(desired: Desired, supply: BuildProvider, look: Look, *, check: bool = False) -> Decision:
    """Decide which changes a host needs.

    :param check: the decision will not be carried out, so fewer facts may be enough

    :raises StandalonePythonError: with a sentence for the user
    """
    # `latest` always needs a catalogue and so the host's kind, and a lock file says what there has to be on which kind; `present`
    # may find what is installed enough, if something is.
    states = {"latest" if desired.lockfile and wanted.state == "present" else wanted.state for wanted in desired.builds}
    observed = look("yes" if "latest" in states else "no")
    # What doesn't start may be a build for another kind of host: no problem, and not to be repaired.
    if not observed.facts and any(installed.problem for installed in observed.installed):
        observed = look("yes")
    try:
        planned = plan(desired, observed, _resolver(desired, supply, observed))
    except _FactsNeeded:
        observed = look("yes")
        planned = plan(desired, observed, _resolver(desired, supply, observed))
    if planned.installs and not observed.facts and not check:
        observed = look("yes")
        planned = plan(desired, observed, _resolver(desired, supply, observed))
    uses = any(step.unless_used for step in planned.removals) and not desired.windows
    if uses or (planned.moves and not observed.history and not check):
        found = look("processes" if uses else "history")
        observed = replace(observed, history=found.history or observed.history)
        if uses:
            observed = replace(observed, processes=found.processes, sight=found.sight, held=_held(planned, found))
        planned = plan(desired, observed, _resolver(desired, supply, observed))
    if observed.facts and desired.delivery == "pull":
        from .delivery import check_pull_tools

        for step in planned.installs:
            check_pull_tools(desired, supply, observed, step.build)
    if check and (assumed := supply.assumption(step.build for step in planned.installs)):
        planned = replace(planned, remarks=(*planned.remarks, assumed))
    if progress.traced(progress.DECISIONS):
        _trace_decision(planned)
    return Decision(planned, observed)


def _trace_decision(planned: Plan) -> None:
    for outcome in planned.outcomes:
        progress.trace(progress.DECISIONS, f"{outcome.wanted.request.text} is {outcome.build.name}: {outcome.reason}")
    for step in planned.steps:
        progress.trace(progress.DECISIONS, f"to do: {step}")
    for removal in planned.held:
        progress.trace(progress.DECISIONS, f"{removal.name} stays: a process runs from it")


def _held(planned: Plan, observed: Observed) -> tuple[str, ...]:
    """Return the paths of the builds that ``planned`` removes and processes run from."""
    used = {process.build for process in observed.processes}
    return tuple(f"{observed.root}/{step.name}" for step in planned.removals if step.unless_used and step.name in used)


def carry_out(
    host: Host,
    desired: Desired,
    supply: BuildProvider,
    decision: Decision,
    *,
    environment: Mapping[str, str] = sh.NOTHING,
    fleet: int = 0,
) -> Result:
    """Make the changes of a decision, and observe the host again. If the look was a full check, record what it found.

    :param fleet: as for :func:`ensure`
    :raises StandalonePythonError: with a sentence for the user; the host is then as it was, or the error says that it isn't
    """
    planned, observed, cleared = decision.plan, decision.observed, False
    if not planned:
        return Result(planned, observed, remember(partial(run, host, "record"), desired, observed, environment=environment)[0])
    from .delivery import deliver, in_doubt

    first, clearing = observed, _clearing(planned)
    whole: frozenset[str] = frozenset()  # the builds of which the host needs a whole archive
    for _unused in range(_TRIES):
        # Made anew for each try, as the host has removed what it was sent.
        deliveries = {
            step.build.name: deliver(host, desired, supply, observed, step, fleet=fleet, whole=step.build.name in whole)
            for step in planned.installs
        }
        script = _renderer(desired).application(desired, planned, deliveries, environment)
        progress.plan(planned.steps)
        with progress.task("Changing", "the host"):
            completed = run(host, "apply", script)
        try:
            after = _with_held(judged(_as_on_host(desired, read(completed)), observed.facts), observed)
        except AgentError as error:
            # What a build was to be made of is not what it was. Nothing has changed yet; a whole archive does not need it.
            if more := in_doubt(error.step, deliveries):
                progress.trace(progress.COMMANDS, f"{error}; a whole archive is sent instead")
                whole |= more
                continue
            failed = (step.build for step in planned.installs if error.step == f"downloading {step.build.name}")
            raise error.with_more(supply.assumption(failed)) from None
        cleared = cleared or after.cleared
        if not after.outdated:
            break
        # The run waited for another one, which has done some of it.
        latest = replace(after, facts=observed.facts)
        decision = decide(desired, supply, partial(_look_again, host, desired, environment, latest))
        planned, observed = decision.plan, decision.observed
        clearing = clearing or _clearing(planned)
        if not planned:
            break
    else:
        raise AgentError(
            f"cannot change {native(observed.root)}, as something else changed it {_TRIES} times between a look at it and the "
            "change: find out what, and run again; this run changed nothing",
            step="apply",
        )
    # Another run may have cleared it.
    others = tuple(step for step in planned.steps if not isinstance(step, Clear))
    planned = replace(planned, steps=(*(clearing if cleared else ()), *others))
    before = after if not planned else first if clearing and cleared else observed
    try:
        left = _without_held(plan(desired, after, _resolver(desired, supply, observed)), after)
    except _FactsNeeded:
        raise AgentError(
            "the host is not as planned after the change: a build has disappeared; something else changes the host",
            step="observe again",
        ) from None
    if left:
        raise AgentError(
            f"the host is not as planned after the change: still to do is {'; '.join(map(str, left.steps))}; "
            "something else changes it, or see what the host's shell printed with -vvv",
            step="observe again",
        )
    after, _why_not = remember(partial(run, host, "record"), desired, after, environment=environment)
    return Result(_without_held(planned, after), before, after)


def _clearing(planned: Plan) -> tuple[Step, ...]:
    return tuple(step for step in planned.steps if isinstance(step, Clear))


def _look_again(host: Host, desired: Desired, environment: Mapping[str, str], latest: Observed, facts: sh.Facts) -> Observed:
    """Return the latest observation. Observe again only if facts are needed that it lacks."""
    return observe(host, desired, facts=facts, environment=environment) if lacks(latest, facts) else latest


def lacks(latest: Observed, facts: sh.Facts) -> bool:
    """Return whether a host has to be observed again to know these facts. Processes and the history are as of now."""
    return facts in ("processes", "history") or (facts == "yes" and not latest.facts)


def _with_held(after: Observed, before: Observed) -> Observed:
    """Return the host after a change, with the builds that the plan did not remove because processes ran from them."""
    sight, processes = (after.sight, after.processes) if after.sight else (before.sight, before.processes)
    held = tuple(dict.fromkeys((*before.held, *after.held)))
    return replace(after, held=held, sight=sight, processes=processes)


def _without_held(planned: Plan, after: Observed) -> Plan:
    """Return the plan without the steps that a process prevented: it runs from a build, or has a file open on Windows."""
    if not after.held:
        return planned

    def held(step: Step) -> bool:
        paths = {f"{after.root}/{step.name}"} if isinstance(step, Remove) else set(getattr(step, "paths", ()))
        return bool(paths) and paths <= set(after.held)

    steps = tuple(step for step in planned.steps if not held(step))
    removals = (step for step in planned.removals if step not in steps)
    return replace(planned, steps=steps, held=(*planned.held, *removals))


def _as_on_host(desired: Desired, observed: Observed) -> Observed:
    if desired.image is None:
        return observed
    facts = desired.image.facts
    return judged(relocated(observed, {here: there for there, here in desired.places.items()}, facts), facts, started=False)


def confirm(
    host: Host, desired: Desired, observed: Observed, *, environment: Mapping[str, str] = sh.NOTHING
) -> tuple[tuple[str, ...], Observed]:
    """Complete the receipts of builds that were installed into an offline image and that ``observed`` saw start.

    Nothing else changes. Returns the names of those builds, and the host after it.

    :raises StandalonePythonError: with a sentence for the user
    """
    steps = tuple(confirmations(observed, frozenset()))
    if not steps:
        return (), observed
    after = read(run(host, "apply", sh.application(desired, Plan(steps, (), seen(steps, observed)), {}, environment)))
    # Another run may have done it, or changed what was to be confirmed.
    names = () if after.outdated else tuple(step.name for step in steps)
    after = replace(after, facts=observed.facts, processes=observed.processes, sight=observed.sight)
    return names, judged(after, observed.facts)


def _resolver(desired: Desired, supply: BuildProvider, observed: Observed) -> Resolve:
    def resolve(request: Request) -> Build:
        if not observed.facts:
            raise _FactsNeeded
        current = newest_installed(request, desired, observed) if desired.selective else None
        return supply.resolve(request, observed.facts, current)

    return resolve


# A shell's exit codes for a program that does not exist, or can't be started.
_NOT_STARTED = (126, 127)


def read(completed: Completed) -> Observed:
    """Parse the output of an agent's script.

    :raises AgentError: the agent reported a failure
    :raises ObservationError: the output is not an observation
    """
    try:
        return parse(completed.output)
    except ObservationError as error:
        stderr = sanitized(" ".join(completed.errors.split())[-LONGEST_TEXT:])
        if not stderr:
            raise
        if completed.code in _NOT_STARTED and not completed.output.strip():
            raise ObservationError(
                f"the host did not run what was sent to it (exit code {completed.code}): {stderr}; see that its shell is a POSIX "
                "sh, or PowerShell on Windows, and that it has the program that changes the user, such as sudo, or connect as "
                "that user"
            ) from None
        raise ObservationError(f"{error}; it also said (exit code {completed.code}): {stderr}") from None
