# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The receipt of a build: the content of its ``.standalone-python/receipt.json``. No I/O."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from ..builds.catalogue import Build
from ..builds.request import FLAVOR, Version
from ..digits import LARGEST

Certificates = Literal["build", "system"]


@dataclass(frozen=True, slots=True)
class Finish:
    """How a build is finished on a host. A build whose ``Finish`` differs from the declared one is installed again.

    ``owner``, ``group`` and ``mode`` are empty by default; ``mode`` is octal text such as ``0755``. With ``certificates:
    system`` the interpreter trusts those in the host's own file, besides those where OpenSSL was built to look.
    """

    externally_managed: bool = True
    compile_bytecode: bool = False
    patch_sysconfig: bool = True
    owner: str = ""
    group: str = ""
    mode: str = ""
    certificates: Certificates = "build"


@dataclass(frozen=True, slots=True)
class Receipt:
    """The content of ``.standalone-python/receipt.json``, which ``agents/on_host/finish.py`` writes.

    :ivar started: false if the build was installed into an offline image, and no host has started it yet
    :ivar carried: the number of user packages that were copied from the replaced build
    :ivar not_carried: the files that could not be copied, each with the reason
    :ivar prefix: the build's path on the host when it was finished; empty in older receipts
    :ivar components: component -> the version that the new interpreter reported; empty if that was not a version. Older receipts,
        builds that no host has started, and a look without facts have none
    :ivar certificates: the host's file of trusted certificates that the interpreter reads; empty with ``certificates: build``
    :ivar attested: ``yes`` or ``no``: whether an attestation of the archive was verified before the installation; empty where
        unknown, as in older receipts and in a look without facts
    """

    build: Build
    url: str
    finish: Finish
    executable: str
    modules: int
    files_sha256: str
    installed_at: str
    started: bool = True
    carried: int = 0
    not_carried: tuple[str, ...] = ()
    prefix: str = ""
    components: Mapping[str, str] = field(default_factory=dict, compare=False)
    certificates: str = ""
    attested: str = field(default="", compare=False)


_CERTIFICATES: Mapping[str, Certificates] = {kind: kind for kind in get_args(Certificates)}
_MARKING = (' "installed_at": ', ' "files_sha256": ', ' "started": ')
_BUILD = ("version", "release", "triple", "options", "flavor", "filename", "sha256")
_COMPONENT = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,31}")
_VERSION = re.compile(r"[0-9][0-9a-z.]{0,31}")
MOST_COMPONENTS = 64
_RECEIPT: Mapping[type, tuple[str, ...]] = {
    str: (*_BUILD, "url", "executable", "files_sha256", "installed_at", "owner", "group", "mode"),
    bool: ("externally_managed", "compile_bytecode", "patch_sysconfig"),
    int: ("modules",),
}


def parse_receipt(text: str) -> Receipt | None:
    """Parse the JSON text of a receipt; None if it is not a complete receipt of this project."""
    try:
        data = json.loads(text)
        said = {name: _typed(data[name], kind) for kind, names in _RECEIPT.items() for name in names}
        if not 0 <= said["modules"] < LARGEST:
            return None
        return Receipt(
            build=Build(
                **{name: said[name] for name in _BUILD}
                | {"version": Version.parse(said["version"]), "flavor": FLAVOR[said["flavor"]]}
            ),
            finish=Finish(
                **{name: said[name] for name in Finish.__dataclass_fields__ if name in said},
                certificates=_CERTIFICATES[data.get("certificates", "build")],
            ),
            **{name: said[name] for name in ("url", "executable", "modules", "files_sha256", "installed_at")},
            started=_typed(data.get("started", True), bool),
            carried=_typed(data.get("carried", 0), int),
            not_carried=tuple(_typed(text, str) for text in _typed(data.get("not_carried", []), list)),
            prefix=_typed(data.get("prefix", ""), str),
            components=_components(data.get("components")),
            certificates=_typed(data.get("certificates_file", ""), str),
            attested=str(data["attested"]) if data.get("attested") in ("yes", "no") else "",
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _components(value: Any) -> dict[str, str]:
    """Return what a host says of its components: names and versions only. Other texts never make a build unsound."""
    if not isinstance(value, dict):
        return {}
    named = [name for name in value if _COMPONENT.fullmatch(name)][:MOST_COMPONENTS]
    return {name: value[name] if isinstance(value[name], str) and _VERSION.fullmatch(value[name]) else "" for name in named}


def _typed(value: Any, kind: type) -> Any:
    # A bool is an int to isinstance, and no count of anything.
    if not isinstance(value, kind) or isinstance(value, bool) != (kind is bool):
        raise TypeError(value)
    return value


def mark_of(receipt: Iterable[str]) -> str:
    """Return the mark of an installation, from the lines of its receipt. Agents compute the same."""
    mark = "".join(line for line in receipt if line.startswith(_MARKING))
    return mark if mark.isascii() and mark.isprintable() else "*"
