# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders one PowerShell script that installs builds on Windows hosts without a controller, as ``script`` does for other hosts.

``on_host/script.ps1`` does those steps of the plan for an empty host whose result the host lacks. No I/O.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..builds.target import MACHINES
from ..state.declaration import Desired
from ..state.failures import FAILURES
from ..state.line import line_of
from ..state.observed import RegistryEntry
from ..state.step import Install, Plan, Register, SetLink, SetSearchPath, Unregister
from .powershell import agents, driver, installation, quoted, urls_beside
from .script import WITHOUT_CONTROLLER, Archives, Kind, Origin, header, receipt_lines
from .sh import Delivery

# PowerShell's variables ignore case, so the parameters are kept before the agents set theirs of the same name.
_PARAMETERS = """\
param([switch]$Check, [switch]$Quiet, [switch]$Json, [switch]$Help, [string]$Root, [string]$BinDir, [string]$Archives)
$options = @{ check = $Check; quiet = $Quiet; json = $Json; help = $Help; root = $Root; bin_dir = $BinDir; archives = $Archives }
"""
# With this step, the agents for the registry come too: any host may have entries that go.
_OF_REGISTRY = Unregister("", RegistryEntry("", "", ""))
_HELP = """\
Installs Python on this host, or repairs it; on a host in order it changes nothing.
  -Check            change nothing; the exit code is 2 if something would change
  -Root FOLDER      instead of the declared root; the launchers are then in FOLDER\\bin
  -BinDir FOLDER    the folder of the launchers
  -Archives FOLDER  take the archives from there; nothing is downloaded
  -Quiet            print errors only
  -Json             print one JSON object
  -Help             print this
Exit codes: 0 success, 1 failure, 2 something would change, 64 wrong option."""


def script(
    desired: Desired, kinds: Sequence[Kind], deliveries: Mapping[str, Delivery], origin: Origin, archives: Archives
) -> str:
    """Return the text of the script.

    :param deliveries: name of each build to how its archive gets to the host
    """
    installs = dict.fromkeys(step for kind in kinds for step in kind.plan.installs)
    values: dict[str, str | bool] = {
        "kinds": ", ".join(kind.triple for kind in kinds),
        "made_from": str(origin),
        "help": f"{_HELP}\nKinds of hosts: {', '.join(kind.triple for kind in kinds)}\nMade by {origin.tool} of {origin}",
        "force": desired.force,
        "keeps_packages": not desired.finish.externally_managed and desired.user_packages == "keep",
        "beside": archives.beside,
    }
    sentences = "; ".join(f"{quoted(code)} = {quoted(text)}" for code, text in {**FAILURES, **WITHOUT_CONTROLLER}.items())
    table = "; ".join([*(f"{name} = {quoted(value)}" for name, value in values.items()), f"sentences = @{{ {sentences} }}"])
    use = "powershell -ExecutionPolicy Bypass -File FILE -Help"
    return "".join(
        (
            header(desired, kinds, origin, use),
            _PARAMETERS,
            urls_beside(deliveries),
            agents(desired, Plan((*installs, _OF_REGISTRY), ()), deliveries),
            f"$plan = @{{ {table} }}\n",
            *(_kind(number, kind, desired, deliveries) for number, kind in enumerate(kinds, 1)),
            _choice(kinds),
            driver(),
            "Invoke-Main $options\n",
        )
    )


def _kind(number: int, kind: Kind, desired: Desired, deliveries: Mapping[str, Delivery]) -> str:
    calls = "".join(f"{call}\n" for call in _calls(kind, desired, deliveries))
    return f"function Invoke-Kind{number} {{\n{calls}}}\n"


def _calls(kind: Kind, desired: Desired, deliveries: Mapping[str, Delivery]) -> Iterator[str]:
    """Yield the calls in the order of a plan's steps."""
    steps, removals = kind.plan.steps, kind.removals
    names = [step.build.name for step in kind.plan.installs]
    tags = [step.tag for step in steps if isinstance(step, Register)]
    for step in steps:
        match step:
            case Install(build):
                delivery = deliveries[build.name]
                words = (build.name, str(build.version), *receipt_lines(build, desired.finish, delivery))
                yield f"{_call('Set-Build', *words)} {installation(desired, step, delivery)}"
            case SetLink(path, to):
                folder, _slash, name = path.rpartition("/")
                command = "Set-StableLink" if folder == desired.root else "Set-InBin"
                yield _call(command, name, to.removeprefix(f"{desired.root}/"))
    if removals.unwanted:
        yield _call("Add-Unwanted", removals.unwanted)
    for line, replaced in removals.replaced.items():
        yield _call("Add-Replaced", line, str(desired.keep), replaced)
    yield _call("Find-Unlinks", names)
    for step in steps:
        if isinstance(step, Register):
            entry = step.entry
            yield _call("Set-Registered", step.tag, entry.version, entry.bits, entry.executable.removeprefix(f"{desired.root}/"))
    yield _call("Find-Unregistered", tags, [line_of(step.build) for step in kind.plan.installs], desired.exclusive)
    if any(isinstance(step, SetSearchPath) for step in steps):
        yield "Set-InPath"
    else:
        yield _call("Clear-InPath", desired.add_to_path is False)
    yield _call("Find-Removals", names)


def _call(command: str, *words: str | Iterable[str] | bool) -> str:
    return " ".join((command, *map(quoted, words)))


def _choice(kinds: Sequence[Kind]) -> str:
    """Return the function that returns number and triple of the kind of a host, by its architecture."""
    cases = "".join(
        f"{quoted(machine)} {{ {number}; {quoted(kind.triple)} }}\n"
        for number, kind in enumerate(kinds, 1)
        for machine, arch in MACHINES.items()
        if arch == kind.target.arch
    )
    return f"function Get-Kind([string]$arch) {{\nswitch ($arch) {{\n{cases}}}\n}}\n"
