# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An agent's failures as sentences. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..errors import AgentError, sanitized
from .answer import FAILURE_BEGIN, FAILURE_END, pairs
from .paths import printed

# What apply.sh and finish.py name as the reason of a failure, as a user reads it. {detail} is what the host said.
FAILURES: Mapping[str, str] = {
    "account": "{detail}: create it there, or declare another owner or group",
    "bytecode": "{detail}: let that one be on the PATH, or leave compile_bytecode out",
    "changed": "{detail} is not what it was when this run looked at it: something else changes this host, find out what "
    "and run again",
    "checksum": "the archive on the host has the sha256 {last}, where {first} was expected: run again",
    "content": "the archive is not a whole build ({detail})",
    "download": "the host could not download it ({detail}): let it reach the source, or use delivery: push",
    "home": "{detail} can't be resolved, as the host knows no home folder of this user: set HOME there, or give an absolute path",
    "exposed_certificates": "{detail}, and the interpreter would trust what is in it: let only root and this user change it, or "
    "use certificates: build",
    "held": "{detail} is in use: a program that runs from it, or a virus scanner, holds files in it; end that and run again",
    "inodes": "the file system has {last} free inodes and {first} are needed: remove files on it, or choose another root",
    "io": "{detail}",
    "launcher": "the launcher's text can't name {detail}, as cmd reads letters that aren't ASCII in one way here and in another "
    "there: choose a bin_dir in the root, or a root without such letters",
    "locked": "another run holds the lock {detail}: wait for it to end; if its host is gone for good, remove that lock",
    "module": "the interpreter can't import a module that the build has ({detail})",
    "no_certificates": "this user can read no certificate in {detail}: install the system's package ca-certificates, or use "
    "certificates: build",
    "nochecksum": "the host has no sha256sum, shasum or openssl to verify the archive: install one of them",
    "nodownload": "delivery: pull needs curl or wget on the host, which has neither: install one of them, or use delivery: push",
    "noinodes": "no inodes are left below {detail}: remove files on that file system, or choose another root",
    "notar": "the host has no tar to unpack the archive: install it",
    "nozstd": "the archive is compressed with zstd, which the host doesn't have: install it, or use delivery: push",
    "obstacle": "{detail} is in the way and was not created by standalone-python, which needs that name: move or remove it",
    "permission": "{detail}: become a user who may do that",
    "prefix": "the interpreter does not run from its own place ({detail})",
    "redirected": "the source sends the host on to another address, and its wget would take the token along: install curl, "
    "or use delivery: push",
    "space": "the disk has {last} kB free and {first} kB are needed: make room on it and run again",
    "start": "the build does not start on this host ({detail}): it was removed again; choose a build for this host's C library "
    "and CPU, and see that /proc is mounted where the host is an unpacked root",
    "tokenwget": "the host has only a wget that takes a token, password or query on its command line, where others could read "
    "it: install curl, "
    "or use delivery: push",
    "unpack": "{detail}",
    "untrusted": "{detail}: run as that user, let only administrators or root and this user change it, or choose another folder",
    "unwritable": "{detail}: become a user who may write there, or choose another root",
    "version": "the interpreter is not the version that was promised ({detail})",
}


EXPOSURES: Mapping[str, str] = {
    "owner": "{path} belongs to the user with the number {who}",
    "group": "the group with the number {who} can write to {path}",
    "others": "every user can write to {path} (its mode is {who})",
    "acl": "an access list lets others write to {path} (its mode is {who})",
    "link": "{path} is a link that leads out of its folder",
    "unknown": "the owner of {path} can't be read",
}
_REASON = re.compile(f"({'|'.join(EXPOSURES)}) (\\S+) (/.*)")


def exposure(reason: str) -> str:
    """Return who else could change what, as part of a sentence. ``observe.sh`` gives it as ``KIND WHO PATH``, others in words."""
    found = _REASON.fullmatch(reason)
    return EXPOSURES[found[1]].format(who=sanitized(found[2]), path=printed(found[3])) if found else sanitized(reason)


def failure_in(text: str) -> AgentError:
    """The error that an agent's failure block stands for."""
    values: dict[str, list[str]] = {}
    for key, value in pairs(text, FAILURE_BEGIN, FAILURE_END):
        values.setdefault(key, []).append(value)
    step = sanitized(" ".join(values.get("step", ())))
    code = " ".join(values.get("failure", ()))
    detail = " ".join(" ".join(values.get("detail", ())).split())
    parts = {"detail": detail, "first": detail.split(" ", 1)[0], "last": detail.rpartition(" ")[2]}
    output = sanitized(detail)
    if code in ("untrusted", "exposed_certificates"):
        parts["detail"] = exposure(detail)
    if code == "no_certificates":
        parts["detail"] = ", ".join(detail.split())
    what = FAILURES.get(code, "{detail}").format(**{name: sanitized(part) for name, part in parts.items()})
    if code in ("inodes", "noinodes"):
        pass
    elif "No space left on device" in detail or (code == "space" and not re.fullmatch("[0-9]+ [0-9]+", detail)):
        what = f"the disk is full ({output}): make room on it and run again"
    elif "Read-only file system" in detail:
        what = f"the file system is read-only ({output}): choose another root, or mount it writable"
    state = (
        "the host is between two states, run again to complete it"
        if values.get("committing") == ["yes"]
        else "the host is as it was"
    )
    return AgentError(f"{step} failed: {what}; {state}", step=step, code=1, output=output)
