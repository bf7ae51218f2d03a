# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The declarations that the arguments of ``install`` and ``upgrade`` make. No I/O.

What the arguments do not name stays as the host has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..builds.catalogue import Build
from ..builds.request import canonical, letters_of, parse_request
from ..errors import DeclarationError
from .choice import satisfies
from .declaration import Desired, Wanted, parse_wanted
from .line import current_build, line_of
from .observed import Installed, Observed
from .receipt import Finish


def requested(requests: Sequence[str], default: str | None) -> list[dict[str, Any]]:
    """Return the option ``builds`` of some requests, of which one may be the default.

    :raises DeclarationError: a request is not valid, or the default is not one of them
    """
    for request in requests:
        if request.endswith((".yml", ".yaml", ".json")):
            raise DeclarationError(f"{request} is not a request: for a file, use 'standalone-python apply {request}'")
    texts = {canonical(parse_request(request)) for request in requests}
    chosen = canonical(parse_request(default)) if default is not None else ""
    if chosen and chosen not in texts:
        raise DeclarationError(
            f"--default {default} is not one of the requests {', '.join(requests)}: name one of them, or add {default}"
        )
    return [{"version": request, "default": canonical(parse_request(request)) == chosen or None} for request in requests]


def to_install(desired: Desired, observed: Observed) -> Desired:
    """Return the declaration of ``install`` on a host: it removes no build, and installed builds keep their options.

    The default links stay with their line.
    """
    builds = desired.builds
    if not any(wanted.default for wanted in builds):
        of_default = {
            wanted for wanted in builds for line in _lines(observed) if _is_of(wanted, line) and _is_default(observed, line)
        }
        if len(of_default) == 1:
            builds = tuple(replace(wanted, default=True) if wanted in of_default else wanted for wanted in builds)
    return replace(desired, builds=builds, exclusive=False, keep=len(observed.installed), finishes=_finishes(observed))


def _is_of(wanted: Wanted, line: str) -> bool:
    """Return whether a request is for this line, and can be for no other one."""
    minor = ".".join(wanted.request.version.split(".")[:2])
    return line == f"cpython-{minor}" + (f"+{wanted.request.variant}" if wanted.request.variant else "")


def to_upgrade(desired: Desired, observed: Observed, requests: Sequence[str]) -> Desired:
    """Return the declaration of ``upgrade`` on a host: the newest build of each line that a request matches.

    The build that was in use stays, and as many others of its line as before or as ``keep`` says. Lines keep their links.

    :param requests: what to upgrade of that which is installed; empty for everything
    :raises DeclarationError: a request is not valid, or matches nothing that is installed
    """
    lines = _lines(observed)
    for text in requests:
        request = parse_request(text)
        if not any(satisfies(one.build, request) for builds in lines.values() for one in builds):
            raise DeclarationError(
                f"nothing installed in {observed.root} matches {text}, so it can't be upgraded; installed there: "
                f"{installed_requests(observed)}; use 'install' to install {text}"
            )
    asked = [parse_request(text) for text in requests]
    chosen = {
        line: builds
        for line, builds in lines.items()
        if not asked or any(satisfies(one.build, request) for one in builds for request in asked)
    }
    linked = any(_links_of(observed, line) - _DEFAULTS for line in chosen)
    return replace(
        desired,
        builds=tuple(_wanted(observed, line, _in_use(observed, builds).build) for line, builds in chosen.items()),
        exclusive=False,
        keep=max([desired.keep, *(len(builds) - 1 for builds in chosen.values())]),
        links=desired.links if linked else desired.links - {"versioned"},
        finishes=_finishes(observed),
    )


def installed_requests(observed: Observed) -> str:
    """Return, for messages, the request for each installed line."""
    return ", ".join(_request_of(_in_use(observed, builds).build) for builds in _lines(observed).values()) or "nothing"


_DEFAULTS = frozenset({"python", "python3"})


def _lines(observed: Observed) -> Mapping[str, list[Installed]]:
    """Return the installed builds of each line, the oldest line first."""
    lines: dict[str, list[Installed]] = {}
    for one in sorted(observed.installed, key=lambda one: (*one.build.age, one.name)):
        if not one.foreign:
            lines.setdefault(line_of(one.build), []).append(one)
    return lines


def _in_use(observed: Observed, builds: Sequence[Installed]) -> Installed:
    """Return the build of a line that its stable link leads to, or else the newest."""
    current = current_build(observed, line_of(builds[0].build))
    return next((one for one in builds if one.name == current), builds[-1])


def _wanted(observed: Observed, line: str, build: Build) -> Wanted:
    flavor = "" if build.flavor == "install_only_stripped" else build.flavor
    default = _is_default(observed, line) or None
    return parse_wanted({"version": _request_of(build), "flavor": flavor, "default": default}, "latest")


def _is_default(observed: Observed, line: str) -> bool:
    return bool(_links_of(observed, line) & _DEFAULTS)


def _request_of(build: Build) -> str:
    """Return the request that means the newest build like this one: ``3.13t``, ``3.15-dev`` or ``3.13+v3``."""
    words = build.variant if "static" in build.variant else ""
    letters = "" if words else letters_of(build.variant)
    dev = "-dev" if build.version.is_prerelease else ""
    return "+".join(filter(None, (f"{build.version.minor_line}{letters}{dev}", words, build.level)))


def _links_of(observed: Observed, line: str) -> frozenset[str]:
    """Return the names of the links in ``bin_dir`` that lead through a line's stable link."""
    beginning = f"{observed.root}/{line}/"
    found = (path.rpartition("/") for path, target in observed.links.items() if target.startswith(beginning))
    return frozenset(name for folder, _slash, name in found if folder == observed.bin_dir)


def _finishes(observed: Observed) -> dict[str, Finish]:
    """Return how each installed build was finished. A new build of its line is finished like the one in use."""
    return dict(_named_finishes(observed))


def _named_finishes(observed: Observed) -> Iterator[tuple[str, Finish]]:
    for line, builds in _lines(observed).items():
        for one in (*builds, _in_use(observed, builds)):
            if one.finish:
                yield one.name, one.finish
                yield line, one.finish
