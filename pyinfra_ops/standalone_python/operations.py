# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operation: it turns a declaration into commands for pyinfra. The core decides which changes are needed."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, Required, TypedDict, TypeVar, cast

from pyinfra import host, logger
from pyinfra.api import HiddenValue, OperationValueError, operation
from pyinfra.api.arguments import all_global_arguments
from pyinfra.api.command import PyinfraCommand

from .commands import Change, Failure, listened, say
from .core import (
    DEFAULT_ROOT,
    OPTIONS,
    UNFINISHED,
    AgentError,
    Attestations,
    Certificates,
    CooldownExcept,
    Decision,
    DeclarationError,
    Delivery,
    Desired,
    Facts,
    Flavor,
    InUse,
    LinkKind,
    ObservationError,
    Observed,
    StandalonePythonError,
    State,
    Supply,
    UserPackages,
    Verify,
    begins_quickly,
    decide,
    declare,
    libraries_explained,
)
from .facts import Observation
from .looks import looks_of

if TYPE_CHECKING:
    from .reporting import Format

_GLOBAL = frozenset(name for name, _type in all_global_arguments())


class BuildRequest(TypedDict, total=False):
    """A request with what it can't say in its text; see :func:`interpreters`."""

    version: Required[str]
    variant: str
    flavor: Flavor
    release: str
    default: bool
    state: State


Operation = TypeVar("Operation", bound=Callable[..., Any])


def _before_it_is_added(decorated: Operation) -> Operation:
    """Report a wrong declaration when the deploy is read, whether pyinfra looks for changes then or not. And as
    pyinfra shows the arguments of an operation that has no name of its own, what may hold a secret is hidden from it."""

    @wraps(decorated)
    def call(*args: Any, **kwargs: Any) -> Any:
        own = {name: value for name, value in kwargs.items() if name not in _GLOBAL}
        _declared(dict(zip(OPTIONS, args, strict=False)) | own)
        for name in ("token", "source", "catalogue"):
            value = kwargs.get(name)
            if isinstance(value, str) and (name == "token" or ("://" in value and {"@", "?"} & set(value))):
                kwargs[name] = HiddenValue(value)
        looks = looks_of(host.state)
        added = decorated(*args, **kwargs)
        if looks:
            looks.add_own(host, added)
        return added

    return cast(Operation, call)


def _declared(options: Mapping[str, Any]) -> Desired:
    """
    :raises OperationValueError: with the core's sentence
    """
    try:
        return declare({name: value.unmask() if isinstance(value, HiddenValue) else value for name, value in options.items()})
    except DeclarationError as error:
        raise OperationValueError(str(error)) from None


def _named(function: Operation) -> Operation:
    """pyinfra calls an operation by its module's last name: that of the package says more than ``operations``."""
    function.__module__ = __package__ or __name__
    return function


@_before_it_is_added
@operation()
@_named
def interpreters(
    builds: str | Sequence[str | BuildRequest],
    *,
    state: State = "present",
    exclusive: bool = False,
    keep: int = 1,
    in_use: InUse = "keep",
    root: str = DEFAULT_ROOT,
    bin_dir: str | None = None,
    owner: str | None = None,
    group: str | None = None,
    mode: str | int | None = None,
    links: Sequence[LinkKind] = ("versioned", "default"),
    force: bool = False,
    delivery: Delivery = "push",
    source: str | HiddenValue = "upstream",
    checksum: str | None = None,
    token: str | HiddenValue | None = None,
    catalogue: str | HiddenValue = "bundled",
    lockfile: str | None = None,
    security_only: bool = False,
    cooldown: str | None = None,
    cooldown_except: CooldownExcept = "high",
    attestations: Attestations = "off",
    trusted_root: str | None = None,
    verify: Verify = "quick",
    externally_managed: bool = True,
    user_packages: UserPackages = "keep",
    compile_bytecode: bool = False,
    patch_sysconfig: bool = True,
    certificates: Certificates = "build",
    register: bool = True,
    add_to_path: bool | None = None,
    lock_timeout: int = 60,
) -> Generator[PyinfraCommand, None, None]:
    """
    Compare a host with the declared interpreters and make only the changes that are needed. It installs, upgrades, repairs,
    relinks and removes builds of python-build-standalone. The host needs no Python, only a POSIX shell and tar.

    + builds: the interpreters that the host must have, each a request such as ``3.13``, ``3.13.1``, ``>=3.12,<3.14``, ``3.13t``
      or ``3.13.1+20250115``, or a mapping with the keys version, variant, flavor, release, default and state
    + state: ``present`` (any sound build that satisfies the request is enough), ``latest`` (the newest version, and its newest
      release) or ``absent``
    + exclusive: remove the builds that this operation installed under root and whose minor version and variant no request
      asks for
    + keep: how many replaced builds of each minor version and variant stay for a rollback
    + in_use: ``keep`` (a build that has to go stays as long as a process runs from it, and a later run removes it) or ``remove``
      (it goes at once)
    + root: the folder on the host that holds the builds; an absolute path, or one that begins with ``~``
    + bin_dir: the folder for the links to the executables; ``/usr/local/bin`` for the default root, else ``bin`` in the root
    + owner: the user who owns the builds; by default who runs the operation on the host, whose the root always is
    + group: the group of the files
    + mode: the mode of folders and executables in octal digits, ``"0755"`` where nothing is said
    + links: which links to make in bin_dir: ``versioned`` (``python3.13``), ``default`` (``python3`` and ``python``, for the
      build with default ``True``; if no build has it, they stay on a declared minor version, and ``False`` removes them)
    + force: replace a file or a link that this operation did not create, where one of its own must go; never a folder
    + delivery: ``push`` (this machine downloads, verifies, keeps and sends) or ``pull`` (the host downloads and verifies)
    + source: ``upstream``, a mirror (an http(s) URL, or a folder here), or a single archive here
    + checksum: the sha256 of that single archive
    + token: a bearer token for the source's own host; it is sent nowhere else and is never shown
    + catalogue: the builds that are known: ``bundled``, ``updated`` (by ``standalone-python catalogue update`` here), or a path
      here, or an http(s) URL
    + lockfile: the path of a lock file here, as ``standalone-python lock`` makes it; with it a request means exactly the build
      that is locked for it on the host's target, the catalogue is not used, and a request that is missing is an error
    + security_only: with ``latest``, upgrade a build only if it has an open advisory that a newer build of the same minor version
      and variant closes; where there is a lock file, it decides
    + cooldown: take no build whose release is younger than this, such as ``7d`` or ``2w``, unless the request names the
      release; where there is a lock file, it decides
    + cooldown_except: take a younger build all the same if it closes an open advisory of at least this severity: ``critical``,
      ``high``, ``medium``, ``low``, or ``none`` for no exception
    + attestations: verify by GitHub's artifact attestations that a workflow of python-build-standalone made what is sent:
      ``off``, or ``require`` them, or ``prefer`` to warn where there are none; one that is wrong is then always an error
    + trusted_root: the path here of a Sigstore ``trusted_root.json``, instead of the one that the package sigstore brings
    + verify: ``quick`` (receipt, executable, standard library), or ``full`` (every file against its recorded sha256;
      ``quick`` knows what it found until a repair or the next full check)
    + externally_managed: mark the interpreter so that pip installs into virtual environments only
    + user_packages: where ``externally_managed`` is false, ``keep`` (copy what users installed to the build that replaces theirs)
      or ``discard``
    + compile_bytecode: compile the standard library when installing
    + patch_sysconfig: replace the paths and compilers of the machine that made the build by those of the host
    + certificates: trust those where OpenSSL was built to look (``build``), or also those in the file that the host's own
      packages maintain (``system``)
    + register: has an effect on Windows hosts only, which pyinfra does not manage
    + add_to_path: has an effect on Windows hosts only, which pyinfra does not manage
    + lock_timeout: seconds to wait for another run that changes the same root

    ``_env`` is for what runs on the host, such as proxies for ``delivery="pull"``; what this machine downloads goes by its own
    environment.

    **Example:**

    .. code:: python

        from pyinfra_ops import standalone_python

        standalone_python.interpreters(
            name="Python 3.13 and 3.12",
            builds=["3.13", {"version": "3.12", "default": True}],
            state="latest",
            exclusive=True,
        )
    """
    desired = _declared(locals())
    supply = Supply(desired)
    try:
        with libraries_explained(), listened(host):
            decision = decide(desired, supply, _look(desired), check=not host.state.is_executing)
    except StandalonePythonError as error:
        yield from _failed(error)
        return
    if not decision.plan:
        if host.state.is_executing:
            for remark in (*decision.observed.remarks, *decision.plan.remarks):
                logger.warning(f"{host.print_prefix}{remark}")
        host.noop(_why_nothing(decision))
        return
    for step in decision.plan.steps:
        host.log(str(step))
    assumed = "" if host.state.is_executing else supply.assumption(step.build for step in decision.plan.installs)
    if assumed:
        logger.warning(f"{host.print_prefix}{assumed}")
    yield Change(desired, supply, decision)


def _once(decorated: Operation) -> Operation:
    """Run an operation on one host only, and check its options when the deploy is read."""

    @wraps(decorated)
    def call(*args: Any, **kwargs: Any) -> Any:
        from .reporting import check_options

        try:
            check_options(kwargs.get("format", "html"), kwargs.get("fail_on", ()))
        except DeclarationError as error:
            raise OperationValueError(str(error)) from None
        return decorated(*args, **{"_run_once": True} | kwargs)

    return cast(Operation, call)


@_once
@operation(is_idempotent=False)
@_named
def report(
    dest: str,
    *,
    format: Format = "html",  # noqa: A002
    fail_on: Sequence[str] = (),
    root: str = DEFAULT_ROOT,
) -> Generator[PyinfraCommand, None, None]:
    """
    Write one report on the interpreters of all hosts: the builds in use, open advisories, the end of support, broken builds, and
    processes on old builds. It runs once, observes the hosts in parallel, and changes nothing on them. Hosts that could not be
    observed are in the report with the reason.

    + dest: the path of the file on this machine; it is replaced in one step
    + format: ``html`` (one page that needs no network), ``json``, ``csv``, ``prometheus`` (for the textfile collector) or
      ``cyclonedx`` (the builds in use, with open advisories)
    + fail_on: fail if the report has one of these: ``critical``, ``high`` (or critical), ``eol``, ``outdated``, ``broken``,
      ``unreachable``; the file is written all the same
    + root: the folder on the hosts that holds the builds

    **Example:**

    .. code:: python

        from pyinfra_ops import standalone_python

        standalone_python.report(name="Report on Python", dest="python.html", fail_on=["critical", "eol"])
    """
    from .reports import WriteReport

    yield WriteReport(dest, format, tuple(fail_on), root)


def _look(desired: Desired) -> Callable[[Facts], Observed]:
    # While operations are executed it is the operation that fails, not the fact: pyinfra would take the host out at once, and
    # end with a traceback where it is the last one.
    extra = {"_ignore_errors": True} if host.state.is_executing else {}

    looks = looks_of(host.state)

    def seen(facts: Facts, **options: Any) -> Observed | str | None:
        options |= {"root": desired.root, "bin_dir": desired.bin_dir, "facts": facts}

        def observe() -> Observed | str | None:
            return host.get_fact(Observation, **options, **extra)

        # Processes and the history have to be those of now.
        return looks.look(host, options, observe) if looks and facts in ("no", "yes") else observe()

    def look(facts: Facts) -> Observed:
        observed = seen(facts, quick=True) if begins_quickly(desired, facts) else UNFINISHED
        if observed == UNFINISHED:
            # As a rule something has to change, for which the kind of host has to be known.
            observed = seen("yes" if facts == "no" else facts, verify=desired.verify)
        if not isinstance(observed, Observed):
            raise ObservationError("cannot observe what is installed on the host: see the error above")
        return observed

    return look


def _failed(error: StandalonePythonError) -> Iterator[PyinfraCommand]:
    """Warn now, and fail during the execution: an earlier operation of the same deploy may mend the problem in between."""
    if host.state.is_executing:
        yield Failure(str(error))
    elif isinstance(error, (AgentError, ObservationError)) or _ignored():
        logger.warning(f"{host.print_prefix}this will fail unless an earlier operation changes the host: {error}")
        yield Failure(str(error))
    else:
        say(host, str(error))
        host.state.fail_hosts({host})


def _ignored() -> bool:
    arguments = host.current_op_global_arguments
    return bool(arguments and arguments["_ignore_errors"])


def _why_nothing(decision: Decision) -> str:
    reasons = [f"{outcome.wanted.request.text}: {outcome.reason}" for outcome in decision.plan.outcomes]
    reasons += [f"{step.name} is in use" for step in decision.plan.held]
    return "; ".join(reasons) or "nothing that is installed has to be removed"
