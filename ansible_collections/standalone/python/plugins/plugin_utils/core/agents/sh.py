# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders a plan as a script for a POSIX shell. All quoting for it is here.

A script is parts of the agents, assignments, and calls of the agents' functions. The shell reads it from standard input, so a
token and the environment are assignments in it, and on no command line. No I/O but reading the scripts in ``on_host`` and the
tables of components.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import field
from functools import cache
from shlex import quote
from types import MappingProxyType
from typing import Literal, TypeGuard

from ..builds.catalogue import Compression
from ..errors import DeclarationError
from ..lazy import lazy_dataclass
from ..state.answer import DONE
from ..state.declaration import Desired
from ..state.line import finish_of
from ..state.paths import moved
from ..state.receipt import Finish
from ..state.step import ABSENT, Clear, Confirm, Install, Plan, Remove, SetLink, Unlink, touched

_AGENTS = os.path.join(os.path.dirname(__file__), "on_host")
_FUNCTION = re.compile(r"\w+\(\) [{(]")
# A docstring; or a text of several lines, in which there may be what looks like one.
_DOCSTRING = r"""(?m)^( *)\"{3}(?:[^"]|"(?!""))*\"{3}$|'''\\\n(?:[^']|'(?!''))*'''"""
# finish.py and the parts that it always loads.
FINISHER = ("finish.py", "disk.py", "files.py", "interpreter.py", "measure.py", "receipt.py", "sbom.py")
# The modules that a build is tried with, each with the extension that it needs. A build without the extension lacks the module.
MODULES = "ctypes:_ctypes hashlib:_hashlib lzma:_lzma sqlite3:_sqlite3 ssl:_ssl zlib:zlib"
# Where systems keep the certificates that they trust, all in one file. Source: their packages, and Go's crypto/x509.
CERTIFICATES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine, Arch, Gentoo
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora and RHEL; the next are links to it
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/var/lib/ca-certificates/ca-bundle.pem",  # SUSE; the next is a link to it
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/certs/ca-bundle.crt",  # NixOS
    "/etc/ssl/cert.pem",  # macOS, and Alpine without the package ca-certificates
)
_TRUE_INSTALL_NAMES = "20251209"
TOOL = "standalone-python 0.1.0"
Facts = Literal["no", "yes", "history", "processes"]
"""Whether the agent prints what kind of host it is, which starts more programs; ``history``: it doesn't, and a quick look is
enough; it prints which builds were in use before; ``processes``: that, and the processes that run from builds."""
NOTHING: Mapping[str, str] = MappingProxyType({})
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@lazy_dataclass(frozen=True)
class Pushed:
    """An archive that was sent to the host.

    :ivar path: on the host
    :ivar need_kb: kilobytes that unpacking needs; ``inodes``: the same in inodes
    :ivar split: bytes of its first half; 0 if it has one part only
    """

    path: str
    sha256: str
    compression: Compression
    need_kb: int
    url: str
    archive_sha256: str
    inodes: int = 0
    attested: str = ""
    split: int = 0


@lazy_dataclass(frozen=True)
class Pulled:
    """An archive that the host downloads from the first of ``urls`` that answers; ``member`` is the build's folder in it."""

    urls: tuple[str, ...]
    compression: Compression
    member: str
    url: str
    archive_sha256: str
    token: str = field(default="", repr=False)  # pylint: disable=invalid-field-call
    attested: str = ""


@lazy_dataclass(frozen=True)
class Own:
    """No archive: the files of the installed build, finished for the prefix ``former``. ``files_sha256`` is of its list."""

    former: str
    files_sha256: str
    url: str
    archive_sha256: str
    attested: str = ""


@lazy_dataclass(frozen=True)
class Delta:
    """A delta that was sent to the host: with the installed build ``base`` it makes the tar that has the checksum ``tar``.

    The host downloads it if there are ``urls``. The other fields are those of ``Pushed`` and ``Pulled``.
    """

    path: str
    sha256: str
    base: str
    tar: str
    need_kb: int
    url: str
    archive_sha256: str
    inodes: int = 0
    attested: str = ""
    urls: tuple[str, ...] = ()
    token: str = field(default="", repr=False)  # pylint: disable=invalid-field-call


Delivery = Pushed | Pulled | Own | Delta


def text_of(name: str) -> str:
    """Return the text of a file in ``on_host``."""
    with open(os.path.join(_AGENTS, name), encoding="utf-8") as file:
        return file.read()


@cache
def module(name: str) -> str:
    """Return a Python file in ``on_host`` as it is sent: without comments and docstrings."""
    lines = re.sub(_DOCSTRING, lambda found: found[0] if found[1] is None else f'{found[1]}""', text_of(name)).splitlines()
    return "".join(f"{line}\n" for line in lines if not line.lstrip().startswith("#"))


@cache
def _agent(*names: str) -> str:
    """Return the text of agents without comments."""
    lines = (line for name in names for line in text_of(name).splitlines())
    code = (line for line in lines if line and not line.lstrip().startswith("#"))
    return "".join(f"{line.partition(' # ')[0] if _FUNCTION.match(line) else line}\n" for line in code)


def _observer(*names: str) -> str:
    """Return the text of an observer's parts, also without indentation.

    Observers are sent most often, and some shells read a script from a pipe one letter at a time. They have no indented text of
    several lines; apply.sh has.
    """
    return "".join(f"{line.lstrip()}\n" for line in _agent(*names).splitlines())


# Read when this module is imported: Ansible imports it once, before it forks a worker for each host.
_OBSERVE, _UNUSUAL = _observer("observe.sh", "trust.sh"), _observer("unusual.sh", "lock.sh")
_DISK, _FACTS = _observer("disk.sh"), _observer("facts.sh")
_PROCESSES, _HISTORY = _observer("processes.sh"), _observer("history.sh")
REMEMBERED = "== standalone-python remembered =="
"""The answer of a host that has recorded a check."""


def _finisher(desired: Desired, plan: Plan, deliveries: Mapping[str, Delivery]) -> list[str]:
    """Return commands that write finish.py, and the parts that ``plan`` needs, into the folder ``$1``."""
    names = [*FINISHER] if plan.installs or plan.confirmations else []
    names += ["paths.py"] if plan.installs else []
    names += ["macho.py"] if any(map(_has_false_install_name, plan.installs)) else []
    names += ["bytecode.py"] if compiles_bytecode(desired, plan) else []
    names += ["carry.py", "launchers.py"] if any(install.carry for install in plan.installs) else []
    names += ["delta.py"] if any(isinstance(delivery, Delta) for delivery in deliveries.values()) else []
    names += ["certificates.py"] if _trusts_host(desired, plan) else []
    texts = {name: module(name) for name in names} | templates(plan, deliveries)
    return [f"cat >\"$1\"/{quote(name)} <<'END OF FILE' || return\n{text}END OF FILE" for name, text in texts.items()]


def templates(plan: Plan, deliveries: Mapping[str, Delivery]) -> dict[str, str]:
    """Return the templates from which the finisher makes each build's list of components: file name -> text."""
    if not plan.installs:
        return {}
    from ..security.sbom import Archive, template

    found = {}
    for install in plan.installs:
        delivery = deliveries[install.build.name]
        archive = Archive(delivery.url, delivery.archive_sha256, delivery.attested)
        found[f"{install.build.name}.cdx"] = template(install.build, archive, TOOL)
    return found


def _trusts_host(desired: Desired, plan: Plan) -> bool:
    """Whether builds come that trust the host's certificates."""
    return any(finish_of(desired, install.build).certificates == "system" for install in plan.installs)


def compiles_bytecode(desired: Desired, plan: Plan) -> bool:
    """Whether builds come whose modules are compiled."""
    return any(finish_of(desired, install.build).compile_bytecode for install in plan.installs)


def _has_false_install_name(install: Install) -> bool:
    """Whether libpython has an install name of the build machine. Source: upstream's change 914, which made it ``@rpath/...``."""
    return install.build.triple.endswith("-apple-darwin") and install.build.release < _TRUE_INSTALL_NAMES


def _assignments(values: Mapping[str, str]) -> str:
    return "".join(f"{name}={quote(value)}\n" for name, value in values.items())


def _exports(environment: Mapping[str, str]) -> str:
    for name in environment:
        if not _NAME.fullmatch(name):
            raise DeclarationError(f"the environment has the name {name!r}, which no shell takes: use letters, digits and _")
    return "".join(f"export {name}={quote(value)}\n" for name, value in environment.items())


def _settings(desired: Desired, *, facts: Facts, processes: bool = False) -> dict[str, str]:
    image = desired.image
    past = facts in ("history", "processes")
    return {
        "root": image.root if image else desired.root,
        "bin_dir": image.bin_dir if image else desired.bin_dir,
        "verify": "quick" if past else desired.verify,
        "facts": "no" if past else facts,
        "processes": "yes" if processes or facts == "processes" else "",
        "history": "yes" if past else "",
        "python": image.python if image else "",
    }


def observation(
    desired: Desired,
    *,
    facts: Facts,
    environment: Mapping[str, str] = NOTHING,
    quick: bool = False,
    processes: bool = False,
) -> str:
    """Return the script that observes a host.

    :param processes: it prints the processes that run from builds
    :param quick: without the parts that are needed if something is unusual; the host then answers `unfinished`
    """
    settings = _settings(desired, facts=facts, processes=processes) | ({} if quick else {"modules": MODULES})
    head = _exports(environment) + _assignments(settings)
    kind = facts == "yes"
    more = _DISK if kind or settings["verify"] == "full" else ""
    more += _FACTS if kind else ""
    more += _PROCESSES if settings["processes"] else ""
    more += _HISTORY if settings["history"] else ""
    return f"{head}{_OBSERVE}{'' if quick else _UNUSUAL}{more}observe </dev/null 2>/dev/null\n"


def remembering(root: str, records: Mapping[str, str], environment: Mapping[str, str] = NOTHING) -> str:
    """Return the script that records what a full check found.

    :param root: where the root is on the machine that runs the script
    :param records: the name of each build, to the line that the host keeps
    """
    # Of two at once, one may take the other's new file. The second try then has it to itself.
    calls = [f"{call} || {call} || return" for call in (_call("record", name, line) for name, line in records.items())]
    head = _exports(environment) + _assignments({"root": root})
    return f"{head}{_agent('remember.sh')}{_function('records', calls)}remember </dev/null\n"


def application(
    desired: Desired, plan: Plan, deliveries: Mapping[str, Delivery], environment: Mapping[str, str] = NOTHING
) -> str:
    """Return the script that carries out ``plan`` and observes again.

    :param deliveries: name of each build to install, to how its archive gets to the host
    """
    return (
        _exports(environment)
        + agents(desired, plan, deliveries)
        + _function("premises", _premises(desired, plan))
        + _function("prepare", _prepare(desired, plan, deliveries))
        + _function("commit", _commit(desired, plan))
        + "apply </dev/null\n"
    )


def agents(desired: Desired, plan: Plan, deliveries: Mapping[str, Delivery]) -> str:
    """Return the settings and the agents that ``plan`` needs on a host, without the functions that are the plan itself."""
    finish, image = desired.finish, desired.image
    settings = _settings(desired, facts="no", processes=_looks_for_processes(desired, plan)) | {
        "modules": MODULES,
        "lock_timeout": str(desired.lock_timeout),
        "inside": desired.root if image else "",
        "owner": image.uid if image else finish.owner,
        "group": image.gid if image else finish.group,
        "mode": _mode_of_root(finish),
        "token": next((delivery.token for delivery in deliveries.values() if downloads(delivery)), ""),
    }
    return (
        _assignments(settings)
        + _OBSERVE
        + _UNUSUAL
        + _DISK
        + _agent(*_appliers(desired, plan, deliveries))
        + _function("finisher", _finisher(desired, plan, deliveries))
    )


def _looks_for_processes(desired: Desired, plan: Plan) -> bool:
    """Whether processes matter to ``plan``. No process of this machine runs from an image."""
    return plan.replaces and desired.image is None


def _appliers(desired: Desired, plan: Plan, deliveries: Mapping[str, Delivery]) -> Iterator[str]:
    """Return the names of the files that ``plan`` needs on a host."""
    yield "apply.sh"
    if _looks_for_processes(desired, plan):
        yield "processes.sh"
    if plan.installs or plan.confirmations:
        yield "build.sh"
    if _trusts_host(desired, plan):
        yield "certificates.sh"
    if any(map(downloads, deliveries.values())):
        yield "download.sh"


def downloads(delivery: Delivery) -> TypeGuard[Pulled | Delta]:
    """Whether the host downloads it."""
    return isinstance(delivery, (Pulled, Delta)) and bool(delivery.urls)


def _mode_of_root(finish: Finish) -> str:
    """Return the mode of a root that is created. Only its owner, the runner, may write to it. The declared owner of the builds
    must be able to search it."""
    if not finish.mode:
        return ""
    return f"{int(finish.mode, 8) & ~0o022 | (0o111 if finish.owner else 0):04o}"


def _function(name: str, lines: Iterator[str] | list[str]) -> str:
    return f"{name}() {{\n:\n" + "".join(f"{line}\n" for line in lines) + "}\n"


def _call(*words: str) -> str:
    return " ".join(map(quote, words))


def _prepare(desired: Desired, plan: Plan, deliveries: Mapping[str, Delivery]) -> Iterator[str]:
    """Yield the calls that prepare the plan's steps. They change nothing visible."""
    # The agent has removed what an earlier run left before it prepares anything.
    yield from (_done(number) for number, step in enumerate(plan.steps, 1) if isinstance(step, Clear))
    if any(isinstance(step, (SetLink, Unlink)) and step.path.rpartition("/")[2].startswith("python") for step in plan.steps):
        yield 'require_trusted "$bin_dir"'
    links = (moved(step.path, desired.places) for step in plan.steps if isinstance(step, SetLink))
    for folder in dict.fromkeys(link.rpartition("/")[0] for link in links):
        yield _call("can_make_links", folder)
    if plan.history is not None:
        yield "can_record"
    if _trusts_host(desired, plan) and not desired.image:
        yield _call("find_certificates", *CERTIFICATES)
    for install in plan.installs:
        delivery = deliveries[install.build.name]
        yield _call("start_build", install.build.name)
        if isinstance(delivery, Pushed):
            numbers = (str(number) for number in (delivery.need_kb, delivery.inodes))
            halves = [str(delivery.split)] if delivery.split else []
            yield _call("unpack_pushed", delivery.path, delivery.sha256, delivery.compression, *numbers, *halves)
        elif isinstance(delivery, Delta):
            numbers = (str(number) for number in (delivery.need_kb, delivery.inodes))
            words = (delivery.sha256, delivery.base, delivery.tar, *numbers)
            yield _call("rebuild_pulled", *words, *delivery.urls) if delivery.urls else _call("rebuild", delivery.path, *words)
        elif isinstance(delivery, Own):
            yield _call("copy_installed", delivery.files_sha256)
        else:
            yield _call("unpack_pulled", delivery.archive_sha256, delivery.compression, delivery.member, *delivery.urls)
        yield _call("finish_build", *finish_arguments(desired, install, delivery))
    for confirmation in plan.confirmations:
        yield _call("start_build", confirmation.name)
        yield _call("try_build", confirmation.name)


def installation(function: str, desired: Desired, install: Install, delivery: Delivery) -> str:
    """Return a function that prepares one build, for scripts that decide on the host whether it is needed."""
    alone = Plan((install,), ())
    return _function(function, _prepare(desired, alone, {install.build.name: delivery}))


def driver() -> str:
    """Return the parts that such a script needs besides :func:`agents`."""
    return _FACTS + _observer("removal.sh", "script.sh")


def downloader(url: str, sha256: str) -> str:
    """Return a script that downloads another, verifies its checksum and runs it."""
    return _assignments({"url": url, "sha256": sha256}) + _agent("short.sh") + 'main "$@"\n'


def finish_arguments(desired: Desired, install: Install, delivery: Delivery) -> Iterator[str]:
    """Yield the finisher's arguments ``key=value``, without those for its folders."""
    build, finish = install.build, finish_of(desired, install.build)
    values: dict[str, str | bool] = {
        "version": str(build.version),
        "release": build.release,
        "triple": build.triple,
        "options": build.options,
        "flavor": build.flavor,
        "filename": build.filename,
        "sha256": delivery.archive_sha256,
        "url": delivery.url,
        "externally_managed": finish.externally_managed,
        "compile_bytecode": finish.compile_bytecode,
        "patch_sysconfig": finish.patch_sysconfig,
        "modules": MODULES,
        "owner": finish.owner,
        "group": finish.group,
        "mode": finish.mode,
        "certificates": finish.certificates,
        "tool": TOOL,
        "attested": delivery.attested,
    }
    if install.carry and not isinstance(delivery, Own):
        values["carry"] = install.carry
    if isinstance(delivery, Own):
        values["former"] = delivery.former
    if desired.image:
        values |= {"started": False, "uid": finish.owner and desired.image.uid, "gid": finish.group and desired.image.gid}
        values |= {"certificates_file": desired.image.certificates} if finish.certificates == "system" else {}
    for key, value in values.items():
        yield f"{key}={int(value) if isinstance(value, bool) else value}"


def _premises(desired: Desired, plan: Plan) -> Iterator[str]:
    """Yield a call for each thing that the plan saw; it fails if that has changed."""
    for at in plan.premises:
        yield f"{_call('is_unchanged', *_seen(desired, plan, at))} || return"


def _seen(desired: Desired, plan: Plan, at: str) -> tuple[str, ...]:
    """Return the path of a link or the name of a build, and what the plan saw there."""
    seen = plan.seen.get(at, ABSENT)
    return (moved(at, desired.places), seen.kind, seen.text)


def _done(number: int) -> str:
    """Return the call that prints that a step of the plan is done; the first is 1."""
    return f"announce {DONE}={number}"


def _commit(desired: Desired, plan: Plan) -> Iterator[str]:
    for number, step in enumerate(plan.steps, 1):
        if plan.history is not None and step is plan.records_before:
            if at := plan.history_at:
                yield _call("require_unchanged", *_seen(desired, plan, at))
            yield _call("record", *plan.history)
        if at := touched(step):
            yield _call("require_unchanged", *_seen(desired, plan, at))
        match step:
            case Install(build):
                yield _call("commit_build", build.name)
            case Confirm(name):
                yield _call("confirm", name)
            case SetLink(path, to):
                yield _call("link", moved(path, desired.places), to)
            case Unlink(path):
                yield _call("unlink", moved(path, desired.places))
            case Remove(name, unless_used=True):
                yield f"{_call('remove_unused', name)} && {_done(number)}"
                continue
            case Remove(name):
                yield _call("remove", name)
            case _:
                continue
        yield _done(number)
