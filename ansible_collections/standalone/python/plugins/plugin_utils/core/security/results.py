# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts reported about themselves, read from the JSON of front ends. No I/O.

Hosts chose these texts, so each one loses its control characters here, before anything shows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..builds.catalogue import Build, parse_name
from ..digits import LARGEST
from ..errors import ContentError, sanitized
from ..state.process import Process
from .components import VERSION

NO_RESULT = "the play left no result of interpreters_info for it"
_EXPECTED = "give the output of 'standalone-python status --json', or results of the module interpreters_info"
Measured = tuple[tuple[str, str], ...]
"""Components, each with the version that a build's interpreter reported, sorted."""

_COMPONENT = re.compile("[A-Za-z0-9-]{1,40}")
# The keys that name the host of a result in a list.
_HOST_KEYS = ("host", "inventory_hostname", "name")
_MOST_PROCESSES = 10_000


@dataclass(frozen=True, slots=True)
class Found:
    """An installed build.

    :ivar linked: whether the stable link of its line leads to it
    :ivar problem: what is wrong with it; empty if it is sound
    :ivar measured: the components of which its interpreter reported the version, each with it; empty where it does not know it
    """

    build: Build
    linked: bool
    problem: str
    measured: Measured = ()


@dataclass(frozen=True, slots=True)
class HostResult:
    """What is known about one root of a host.

    :ivar processes: those that do not run from their line's current build; None if nobody looked for them
    :ivar complete: whether all processes of the host were visible
    :ivar unreachable: why the host was not observed; empty if it was
    """

    host: str
    root: str = ""
    found: tuple[Found, ...] = ()
    processes: tuple[Process, ...] | None = None
    complete: bool = True
    unreachable: str = ""


def read_results(data: Any, source: str, host: str = "") -> tuple[HostResult, ...]:
    """Return the results in parsed JSON: one result, or a list or mapping of them by host, as ``hostvars`` is.

    :param source: the name of the data, for messages
    :param host: the name of the host whose result the data is, where the data does not name it
    :raises ContentError: the data is not of this project, or damaged
    """
    named = list(_named(data, host or source))
    if not any(_is_result(value) or _reason(value) for _name, values in named for value in values):
        raise ContentError(f"cannot read {source}: it holds no result of interpreters_info; {_EXPECTED}")
    try:
        return tuple(result for name, values in named for result in _of_host(sanitized(name), values))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        why = sanitized(str(error), 100)
        raise ContentError(f"cannot read {source}: a result in it is damaged ({why}); {_EXPECTED}") from None


def unobserved(host: str, reason: str) -> HostResult:
    """Return the result of a host that was not observed."""
    return HostResult(sanitized(host), unreachable=sanitized(" ".join(reason.split())) or "no reason was given")


def _named(data: Any, host: str) -> Iterator[tuple[str, list[Any]]]:
    """Yield the name of each host with the values that may be results."""
    if _is_result(data) or _reason(data):
        yield _name(data) or host, [data]
    elif isinstance(data, list):
        for number, item in enumerate(data, 1):
            yield from _named(item, f"{host} #{number}") if isinstance(item, (dict, list)) else [(f"{host} #{number}", [item])]
    elif isinstance(data, dict):
        for name, value in data.items():
            yield str(name), list(_candidates(value))


def _candidates(value: Any) -> Iterator[Any]:
    """Yield a value, or if it holds variables of a host, those that are results of tasks."""
    if not isinstance(value, dict) or _is_result(value) or _reason(value):
        yield value
        return
    for variable in value.values():
        loop = variable.get("results") if isinstance(variable, dict) else None
        yield from (one for one in (loop if isinstance(loop, list) else [variable]) if _is_result(one) or _reason(one))


def _is_result(value: Any) -> bool:
    return isinstance(value, dict) and {"interpreters", "root", "tools"} <= set(value)


def _reason(value: Any) -> str:
    """Return why a task failed; empty if it did not, or if the value is not a result of a task."""
    if not isinstance(value, dict) or not (value.get("unreachable") is True or value.get("failed") is True):
        return ""
    message = value.get("msg")
    return message if isinstance(message, str) and message else "no reason was given"


def _name(data: Mapping[str, Any]) -> str:
    return next((data[key] for key in _HOST_KEYS if isinstance(data.get(key), str) and data[key]), "")


def _of_host(host: str, values: Iterable[Any]) -> Iterator[HostResult]:
    values = list(values)
    results = [_result(host, value) for value in values if _is_result(value)]
    if results:
        yield from results
    else:
        yield unobserved(host, next(filter(None, map(_reason, values)), NO_RESULT))


def _result(host: str, data: Mapping[str, Any]) -> HostResult:
    processes = _typed(data, "processes", list, optional=True)
    return HostResult(
        host,
        sanitized(_typed(data, "root", str)),
        tuple(map(_found, _typed(data, "interpreters", list))),
        None if processes is None else tuple(_processes(processes)),
        _typed(data, "processes_complete", bool, optional=True) is not False,
    )


def _found(data: Mapping[str, Any]) -> Found:
    prefix, stable = _typed(data, "prefix", str), _typed(data, "stable_path", str)
    name = prefix.replace("\\", "/").rpartition("/")[2]
    build = parse_name(name)
    if build is None:
        raise ValueError(f"{sanitized(name, 80)} is not the name of a build")
    problem = "" if _typed(data, "sound", bool) else sanitized(_typed(data, "problem", str)) or "it is broken"
    return Found(build, not stable.startswith((f"{prefix}/", f"{prefix}\\")), problem, _measured(data))


def _measured(data: Mapping[str, Any]) -> Measured:
    measured = _typed(data, "components", dict, optional=True) or {}
    for name, version in measured.items():
        if not (_COMPONENT.fullmatch(name) and isinstance(version, str) and (not version or VERSION.fullmatch(version))):
            raise ValueError(f"{sanitized(str(version), 40)} is not a version of a component")
    return tuple(sorted(measured.items()))


def _processes(found: list[Any]) -> Iterator[Process]:
    for data in found[:_MOST_PROCESSES]:
        if not _typed(data, "current", bool):
            pid = _typed(data, "pid", int)
            if not 0 <= pid < LARGEST:
                raise ValueError("pid is not the number of a process")
            unit = _typed(data, "unit", str, optional=True) or ""
            user, command, build = (sanitized(_typed(data, name, str)) for name in ("user", "command", "build"))
            yield Process(pid, user, command, build, sanitized(unit))


def _typed(data: Mapping[str, Any], key: str, kind: type, *, optional: bool = False) -> Any:
    if not isinstance(data, dict):
        raise TypeError("a mapping was expected")
    value = data.get(key)
    if value is None and optional:
        return None
    # A bool is an int to isinstance.
    if not isinstance(value, kind) or isinstance(value, bool) != (kind is bool):
        raise TypeError(f"{key} is not {_KINDS[kind]}")
    return value


_KINDS = {dict: "a mapping", list: "a list", str: "a text", bool: "true or false", int: "a number"}
