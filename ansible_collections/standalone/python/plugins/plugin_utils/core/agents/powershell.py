# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan as the text of a script for PowerShell, as ``render`` gives one for a POSIX shell. All of PowerShell's quoting is here.
No I/O but reading the agents beside this file.

A script goes to a host by standard input, packed: consoles and remote shells change letters that aren't ASCII, and a command line
has 8,191 letters at most. :data:`RUN` is the command that takes it. Windows may be set to log the text of every script: secrets,
and the environment, which may have some, come beside it. In the text here they are its first line.
"""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Iterator, Mapping
from functools import cache

from ..errors import DeclarationError
from ..state.declaration import Desired
from ..state.step import ABSENT, Install, Plan, Register, Remove, SetLink, SetSearchPath, Unlink, Unregister, touched
from .sh import FINISHER, NOTHING, Delivery, Facts, Pulled, Pushed, finish_arguments, module

_PARTS = re.compile(r"^#%% .*\n", re.MULTILINE)
# PowerShell takes typographic quotes for quotes.
_QUOTES = re.compile("['\u2018\u2019\u201a\u201b]")

RUN = (
    "$lines = @($input); $given = $lines[0]; "
    "& ([ScriptBlock]::Create([IO.StreamReader]::new([IO.Compression.GzipStream]::new([IO.MemoryStream]::new("
    "[Convert]::FromBase64String($lines[1])),[IO.Compression.CompressionMode]::Decompress)).ReadToEnd()))"
)
# By .NET, as the shell plugin's own way needs a PowerShell module. Nobody else may look into the user's temporary folder.
_NEW_FOLDER = (
    "$f = [IO.Path]::Combine([IO.Path]::GetTempPath(), 'standalone-python-' + [Guid]::NewGuid().ToString('N')); "
    "[void][IO.Directory]::CreateDirectory($f); "
)
# A task that became the user has shown that there is one. Whom the host doesn't know even so has other credentials in the network
# only (logon_type=new_credentials), and is the connection's user here.
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
    """The same command for a host whose shell is cmd: it starts PowerShell, and quotes nothing, as there is nothing to quote."""
    encoded = base64.b64encode(command.encode("utf-16-le")).decode()
    return f"powershell -NoProfile -NonInteractive -ExecutionPolicy Unrestricted -OutputFormat Text -EncodedCommand {encoded}"


def packed(script: str) -> bytes:
    """A script as :data:`RUN` takes it from standard input: a line of what is given beside it, and base64 of gzip of UTF-8."""
    given = _GIVEN.match(script)
    packer = zlib.compressobj(6, wbits=31)
    text = packer.compress(script[given.end() if given else 0 :].encode()) + packer.flush()
    return (given[1].encode() if given else b"") + b"\n" + base64.b64encode(text) + b"\n"


def new_folder(user: str = "") -> str:
    """The command that makes a folder for what is sent, and prints its path.

    :param user: who may read and remove what comes there, as well as the connection's user; named as become_user is
    """
    return _NEW_FOLDER + (_FOR_USER.format(user=_quote(user.removeprefix(".\\"))) if user else "") + "$f"


def without_folder(path: str) -> str:
    """The command that removes such a folder with all that is in it, where it is still there."""
    return f"try {{ [IO.Directory]::Delete({_quote(path)}, $true) }} catch {{ }}"


def observation(desired: Desired, *, facts: Facts, environment: Mapping[str, str] = NOTHING) -> str:
    """The script that observes a host."""
    observe, more, kind = _observe()
    told = facts != "no"
    return (
        _beside({f"env {name}": (value,) for name, value in environment.items()})
        + _settings(desired, facts)
        + observe
        + (more if told or desired.verify == "full" else "")
        + (kind if told else "")
        + "Invoke-Observation\n"
    )


def application(
    desired: Desired, plan: Plan, deliveries: Mapping[str, Delivery], environment: Mapping[str, str] = NOTHING
) -> str:
    """The script that carries out ``plan`` and observes again.

    :param deliveries: by name of the build, how the archive of each :class:`Install` gets to the host
    """
    observe, more, _unused = _observe()
    token = next((delivery.token for delivery in deliveries.values() if isinstance(delivery, Pulled)), "")
    beside: dict[str, tuple[str, ...]] = {f"env {name}": (value,) for name, value in environment.items()}
    beside |= {f"url {name}": delivery.urls for name, delivery in deliveries.items() if isinstance(delivery, Pulled)}
    return (
        _beside(beside | ({"token": (token,)} if token else {}))
        + _settings(desired, "no")
        + _assignments({"lock_timeout": str(desired.lock_timeout)})
        + observe
        + more
        + "".join(map(_agent, _appliers(plan, deliveries)))
        + _function("Get-Finisher", _finisher(desired, plan) if plan.installs else [])
        + _function("Test-Premises", _premises(plan))
        + _function("Invoke-Prepare", _prepare(desired, plan, deliveries))
        + _function("Invoke-Commit", _commit(plan))
        + "Invoke-Application\n"
    )


def _appliers(plan: Plan, deliveries: Mapping[str, Delivery]) -> Iterator[str]:
    """Return the names of the files that ``plan`` needs on a host."""
    yield "apply.ps1"
    if plan.installs:
        yield from ("build.ps1", "tar.ps1")
    if any(isinstance(delivery, Pulled) for delivery in deliveries.values()):
        yield "download.ps1"
    if any(isinstance(step, (Register, Unregister, SetSearchPath)) for step in plan.steps):
        yield "registry.ps1"


@cache
def _agent(name: str) -> str:
    """An agent's text without indentation and the lines that are comments only."""
    lines = (line.strip() for line in module(name).splitlines())
    return "".join(f"{line}\n" for line in lines if line and (not line.startswith("#") or line.startswith("#%%")))


@cache
def _observe() -> tuple[str, str, str]:
    observe, more, kind = _PARTS.split(_agent("observe.ps1"))
    return observe, more, kind


def _finisher(desired: Desired, plan: Plan) -> list[str]:
    """What interpreters run to finish themselves: its files, by their names."""
    names = [*FINISHER, *(["bytecode.py"] if desired.finish.compile_bytecode else [])]
    names += ["carry.py"] if any(install.carry for install in plan.installs) else []
    return ["@{", *(f"{_quote(name)} = {_quote(module(name))}" for name in names), "}"]


def _quote(text: str) -> str:
    return "'" + _QUOTES.sub(lambda quote: quote[0] * 2, text) + "'"


def _native(path: str) -> str:
    return f"(ConvertTo-Native {_quote(path)})"


def _assignments(values: Mapping[str, str]) -> str:
    return "".join(f"${name} = {_quote(value)}\n" for name, value in values.items())


def _beside(values: Mapping[str, tuple[str, ...]]) -> str:
    """The first line: what observe.ps1 reads as pairs."""
    for name in values:
        if name == "env " or "=" in name or "\0" in name:
            raise DeclarationError(f"the environment has the name {name[4:]!r}, which no system takes: leave = out")
    pairs = "".join(f"{name}\0{value}\0" for name, several in values.items() for value in several)
    return f"$given = '{base64.b64encode(pairs.encode()).decode()}'\n"


def _settings(desired: Desired, facts: Facts) -> str:
    return _assignments({"root": desired.root, "bin_dir": desired.bin_dir, "verify": desired.verify, "facts": facts})


def _function(name: str, lines: Iterator[str] | list[str]) -> str:
    return f"function {name} {{\n" + "".join(f"{line}\n" for line in lines) + "}\n"


def _prepare(desired: Desired, plan: Plan, deliveries: Mapping[str, Delivery]) -> Iterator[str]:
    """Everything that can fail, before anything that can be seen."""
    for step in plan.steps:
        if isinstance(step, SetLink):
            yield f"Assert-Launcher {_native(step.path)} {_native(step.to)}"
    if any(isinstance(step, (Register, Unregister)) for step in plan.steps):
        yield "Assert-Registry"
    for install in plan.installs:
        delivery = deliveries[install.build.name]
        yield f"Start-Build {_quote(install.build.name)}"
        if isinstance(delivery, Pushed):
            yield f"Expand-Pushed {_native(delivery.path)} {_quote(delivery.sha256)} {delivery.need_kb}"
        else:
            yield f"Expand-Pulled {_quote(delivery.archive_sha256)}"
        yield f"Complete-Build {_array(finish_arguments(desired, install, delivery))}"


def _array(words: Iterator[str]) -> str:
    return f"@({', '.join(map(_quote, words))})"


def _premises(plan: Plan) -> Iterator[str]:
    """What the plan was made for, each as a call that says whether it is still so."""
    for at in dict.fromkeys((*plan.seen, *map(touched, plan.steps))):
        if at:
            yield f"if (-not (Test-Seen {_seen(plan, at)})) {{ return $false }}"
    yield "$true"


def _seen(plan: Plan, at: str) -> str:
    """The path of a link or the name of a build, and what was there."""
    seen = plan.seen.get(at, ABSENT)
    return f"{_native(at)} {_quote(seen.kind)} {_quote(seen.text)}"


def _commit(plan: Plan) -> Iterator[str]:
    for step in plan.steps:
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
                version, bits, executable = entry.split(" ", 2)
                yield f"Register-Line {_quote(tag)} {_quote(version)} {_quote(bits)} {_native(executable)}"
            case Unregister(tag):
                yield f"Unregister-Line {_quote(tag)}"
            case SetSearchPath(folder, there):
                yield f"Set-SearchPath {_native(folder)} ${str(there).lower()}"
