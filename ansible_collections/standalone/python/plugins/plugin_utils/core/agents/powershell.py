# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders a plan as a script for PowerShell, as ``sh`` does for a POSIX shell. All quoting for PowerShell is here. No I/O.

A script is sent packed, by standard input, and :data:`RUN` is the command that reads it: consoles and remote shells change
letters that aren't ASCII, and a command line has at most 8,191 letters. Windows may log the text of every script, so secrets and
the environment come beside it. Here they are the script's first line.
"""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from ..errors import DeclarationError
from ..state.declaration import Desired
from ..state.step import ABSENT, Install, Plan, Register, Remove, SetLink, SetSearchPath, Unlink, Unregister, touched
from .sh import (
    FINISHER,
    NOTHING,
    Delivery,
    Delta,
    Facts,
    Pushed,
    compiles_bytecode,
    downloads,
    finish_arguments,
    module,
    templates,
    text_of,
)

# PowerShell takes typographic quotes for quotes.
_QUOTES = re.compile("['\u2018\u2019\u201a\u201b]")

RUN = (
    "$lines = @($input); $given = $lines[0]; "
    "& ([ScriptBlock]::Create([IO.StreamReader]::new([IO.Compression.GzipStream]::new([IO.MemoryStream]::new("
    "[Convert]::FromBase64String($lines[1])),[IO.Compression.CompressionMode]::Decompress)).ReadToEnd()))"
)
# By .NET, as the shell plugin would load a PowerShell module. Only the user can read the user's temporary folder.
_NEW_FOLDER = (
    "$f = [IO.Path]::Combine([IO.Path]::GetTempPath(), 'standalone-python-' + [Guid]::NewGuid().ToString('N')); "
    "[void][IO.Directory]::CreateDirectory($f); "
)
# A task that became the user has shown that the account exists. If the host does not know it, it has other credentials only in
# the network (logon_type=new_credentials), and is the connection's user here.
_FOR_USER = (
    "$w = try {{ [Security.Principal.NTAccount]::new({user}).Translate([Security.Principal.SecurityIdentifier]) }} catch {{ }}; "
    "if ($w) {{ $l = [Security.AccessControl.DirectorySecurity]::new($f, 'Access'); "
    "$l.AddAccessRule([Security.AccessControl.FileSystemAccessRule]::new("
    "$w, 'Modify', 'ContainerInherit, ObjectInherit', 'None', 'Allow')); "
    "$i = [IO.DirectoryInfo]::new($f); $e = 'System.IO.FileSystemAclExtensions' -as [type]; "
    "if ($e) {{ $e::SetAccessControl($i, $l) }} else {{ $i.SetAccessControl($l) }} }}; "
)
_GIVEN = re.compile(r"\$given = '([A-Za-z0-9+/=]*)'\n")


def for_cmd(command: str) -> str:
    """Return the command for a host whose shell is cmd. It needs no quotes."""
    encoded = base64.b64encode(command.encode("utf-16-le")).decode()
    return f"powershell -NoProfile -NonInteractive -ExecutionPolicy Unrestricted -OutputFormat Text -EncodedCommand {encoded}"


def packed(script: str) -> bytes:
    """Return a script as :data:`RUN` reads it: a line of secrets, and base64 of gzip of the text in UTF-8."""
    given = _GIVEN.match(script)
    packer = zlib.compressobj(6, wbits=31)
    text = packer.compress(script[given.end() if given else 0 :].encode()) + packer.flush()
    return (given[1].encode() if given else b"") + b"\n" + base64.b64encode(text) + b"\n"


def new_folder(user: str = "") -> str:
    """Return the command that creates a folder for uploads, and prints its path.

    :param user: another user, as in become_user, who may read and remove the uploads
    """
    return _NEW_FOLDER + (_FOR_USER.format(user=_quote(user.removeprefix(".\\"))) if user else "") + "$f"


def without_folder(path: str) -> str:
    """Return the command that removes such a folder, if it exists."""
    return f"try {{ [IO.Directory]::Delete({_quote(path)}, $true) }} catch {{ }}"


def observation(desired: Desired, *, facts: Facts, environment: Mapping[str, str] = NOTHING, processes: bool = False) -> str:
    """Return the script that observes a host."""
    kind = facts == "yes"
    return (
        _beside({f"env {name}": (value,) for name, value in environment.items()})
        + _settings(desired, facts)
        + _agent("observe.ps1")
        + (_agent("disk.ps1") if kind or desired.verify == "full" else "")
        + (_agent("facts.ps1") if kind else "")
        + "Invoke-Observation\n"
    )


def remembering(root: str, records: Mapping[str, str]) -> str:
    """Return the script that records what a full check found.

    :param records: the name of each build, to the line that the host keeps
    """
    calls = [f"Write-Record {_quote(name)} {_quote(line)}" for name, line in records.items()]
    head = _beside({}) + _assignments({"root": root})
    return f"{head}{_agent('remember.ps1')}{_function('Write-Records', calls)}Invoke-Remembering\n"


def application(
    desired: Desired, plan: Plan, deliveries: Mapping[str, Delivery], environment: Mapping[str, str] = NOTHING
) -> str:
    """Return the script that carries out ``plan`` and observes again.

    :param deliveries: name of each build to install, to how its archive gets to the host
    """
    token = next((delivery.token for delivery in deliveries.values() if downloads(delivery)), "")
    beside: dict[str, tuple[str, ...]] = {f"env {name}": (value,) for name, value in environment.items()}
    beside |= {f"url {name}": delivery.urls for name, delivery in deliveries.items() if downloads(delivery)}
    return (
        _beside(beside | ({"token": (token,)} if token else {}))
        + agents(desired, plan, deliveries)
        + _function("Test-Premises", _premises(plan))
        + _function("Invoke-Prepare", _prepare(desired, plan, deliveries))
        + _function("Invoke-Commit", _commit(plan))
        + "Invoke-Application\n"
    )


def agents(desired: Desired, plan: Plan, deliveries: Mapping[str, Delivery]) -> str:
    """Return the settings and the agents that ``plan`` needs on a host, without the functions that are the plan itself."""
    return (
        _settings(desired, "no")
        + _assignments({"lock_timeout": str(desired.lock_timeout)})
        + _agent("observe.ps1")
        + _agent("disk.ps1")
        + "".join(map(_agent, _appliers(plan, deliveries)))
        + _function("Get-Finisher", _finisher(desired, plan, deliveries) if plan.installs else [])
    )


def installation(desired: Desired, install: Install, delivery: Delivery) -> str:
    """Return a block that prepares one build, for scripts that decide on the host whether it is needed."""
    lines = _prepare(desired, Plan((install,), ()), {install.build.name: delivery})
    return "{\n" + "".join(f"{line}\n" for line in lines) + "}"


def driver() -> str:
    """Return the parts that such a script needs besides :func:`agents`."""
    return _agent("facts.ps1") + _agent("removal.ps1") + _agent("script.ps1")


def urls_beside(deliveries: Mapping[str, Delivery]) -> str:
    """Return a script's first line with the URLs of its archives, which must not have secrets."""
    return _beside({f"url {name}": delivery.urls for name, delivery in deliveries.items() if downloads(delivery)})


def quoted(value: str | Iterable[str] | bool) -> str:
    """Return a text, texts or a truth value as PowerShell writes them."""
    if isinstance(value, bool):
        return f"${str(value).lower()}"
    return _quote(value) if isinstance(value, str) else _array(iter(value))


def _appliers(plan: Plan, deliveries: Mapping[str, Delivery]) -> Iterator[str]:
    """Return the names of the files that ``plan`` needs on a host."""
    yield "apply.ps1"
    if plan.installs:
        yield from ("build.ps1", "tar.ps1")
    if any(isinstance(delivery, Delta) for delivery in deliveries.values()):
        yield "rebuild.ps1"
    if any(map(downloads, deliveries.values())):
        yield "download.ps1"
    if any(isinstance(step, (Register, Unregister, SetSearchPath)) for step in plan.steps):
        yield "registry.ps1"


@cache
def _agent(name: str) -> str:
    """Return the text of an agent without indentation and comments."""
    lines = (line.strip() for line in text_of(name).splitlines())
    code = (line for line in lines if line and not line.startswith("#"))
    return "".join(f"{line.partition(' # ')[0] if line.startswith('function ') else line}\n" for line in code)


def _finisher(desired: Desired, plan: Plan, deliveries: Mapping[str, Delivery]) -> list[str]:
    """Return a table of the finisher's files by name."""
    names = [*FINISHER, *(["bytecode.py"] if compiles_bytecode(desired, plan) else [])]
    names += ["carry.py", "launchers.py"] if any(install.carry for install in plan.installs) else []
    names += ["delta.py"] if any(isinstance(delivery, Delta) for delivery in deliveries.values()) else []
    texts = {name: module(name) for name in names} | templates(plan, deliveries)
    return ["@{", *(f"{_quote(name)} = {_quote(text)}" for name, text in texts.items()), "}"]


def _quote(text: str) -> str:
    return "'" + _QUOTES.sub(lambda quote: quote[0] * 2, text) + "'"


def _native(path: str) -> str:
    return f"(ConvertTo-Native {_quote(path)})"


def _assignments(values: Mapping[str, str]) -> str:
    return "".join(f"${name} = {_quote(value)}\n" for name, value in values.items())


def _beside(values: Mapping[str, tuple[str, ...]]) -> str:
    """Return the script's first line, which observe.ps1 reads as pairs."""
    for name in values:
        if name == "env " or "=" in name or "\0" in name:
            raise DeclarationError(f"the environment has the name {name[4:]!r}, which no system takes: leave = out")
    pairs = "".join(f"{name}\0{value}\0" for name, several in values.items() for value in several)
    return f"$given = '{base64.b64encode(pairs.encode()).decode()}'\n"


def _settings(desired: Desired, facts: Facts) -> str:
    past = facts == "history"
    verify, kind = ("quick", "no") if past else (desired.verify, facts)
    values = {"root": desired.root, "bin_dir": desired.bin_dir, "verify": verify, "facts": kind}
    return _assignments(values | {"history": "yes" if past else ""})


def _function(name: str, lines: Iterator[str] | list[str]) -> str:
    return f"function {name} {{\n" + "".join(f"{line}\n" for line in lines) + "}\n"


def _prepare(desired: Desired, plan: Plan, deliveries: Mapping[str, Delivery]) -> Iterator[str]:
    """Yield the calls that prepare the plan's steps. They change nothing visible."""
    for step in plan.steps:
        if isinstance(step, SetLink):
            yield f"Assert-Launcher {_native(step.path)} {_native(step.to)}"
    if plan.history is not None:
        yield "Assert-History"
    if any(isinstance(step, (Register, Unregister)) for step in plan.steps):
        yield "Assert-Registry"
    for install in plan.installs:
        delivery = deliveries[install.build.name]
        yield f"Start-Build {_quote(install.build.name)}"
        if isinstance(delivery, Pushed):
            yield f"Expand-Pushed {_native(delivery.path)} {_quote(delivery.sha256)} {delivery.need_kb}"
        elif isinstance(delivery, Delta):
            call = "Expand-PulledDelta" if delivery.urls else f"Expand-Rebuilt {_native(delivery.path)}"
            sums = (delivery.sha256, delivery.base, delivery.tar)
            yield f"{call} {' '.join(map(_quote, sums))} {delivery.need_kb}"
        else:
            yield f"Expand-Pulled {_quote(delivery.archive_sha256)}"
        yield f"Complete-Build {_array(finish_arguments(desired, install, delivery))}"


def _array(words: Iterable[str]) -> str:
    return f"@({', '.join(map(_quote, words))})"


def _premises(plan: Plan) -> Iterator[str]:
    """Yield a call for each thing that the plan saw; it fails if that has changed."""
    for at in plan.premises:
        yield f"if (-not (Test-Seen {_seen(plan, at)})) {{ return $false }}"
    yield "$true"


def _seen(plan: Plan, at: str) -> str:
    """Return the path of a link or the name of a build, and what the plan saw there."""
    seen = plan.seen.get(at, ABSENT)
    return f"{_native(at)} {_quote(seen.kind)} {_quote(seen.text)}"


def _commit(plan: Plan) -> Iterator[str]:
    for step in plan.steps:
        if plan.history is not None and step is plan.records_before:
            if at := plan.history_at:
                yield f"Assert-Still {_seen(plan, at)}"
            yield f"Set-History {_array(plan.history)}"
        if at := touched(step):
            yield f"Assert-Still {_seen(plan, at)}"
        match step:
            case Install(build):
                yield f"Complete-Rename {_quote(build.name)}"
            case SetLink(path, to):
                yield f"Set-Link {_native(path)} {_native(to)}"
            case Unlink(path):
                yield f"Clear-Link {_native(path)}"
            case Remove(name):
                yield f"Remove-Build {_quote(name)}"
            case Register(tag, entry):
                yield f"Register-Line {_quote(tag)} {_quote(entry.version)} {_quote(entry.bits)} {_native(entry.executable)}"
            case Unregister(tag):
                yield f"Unregister-Line {_quote(tag)}"
            case SetSearchPath(folder, there):
                yield f"Set-SearchPath {_native(folder)} ${str(there).lower()}"
