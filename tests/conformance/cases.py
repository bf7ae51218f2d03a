"""What every front end has to do on every kind of host: one table. A front end's tests run each case, step by step.

A step declares something and says what that comes to. Each step is done three times: predicted, done, and done again; the
prediction has to be what is then done, and the second time nothing may change. What a step does to the host beforehand
(``first``) it does behind the front end's back, on the files themselves.

The builds are those of the fixture ``source``: 3.12 and 3.13 in release OLD, the same 3.13 rebuilt in NEW, a later 3.13 in NEWER.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.tools.sources import NEW, NEWER, OLD, V12, V13, V13LATER


@dataclass(frozen=True, slots=True)
class Place:
    """A root and a bin_dir on a host, as the test sees the host's files.

    :ivar files: the host's root directory on this machine; ``/`` where the host is this machine
    :ivar root: the declared root, as the host sees it
    """

    files: Path
    root: str

    @property
    def here(self) -> Path:
        return self.files / self.root.lstrip("/")

    @property
    def bin(self) -> Path:
        return self.here / "bin"

    def build(self, version: str) -> Path:
        """The one installed build of a version (``3.13.0`` or ``3.13.0+20250115``)."""
        (found,) = (path for path in self.here.glob(f"cpython-{version}*") if not path.is_symlink())
        return found

    def builds(self) -> list[str]:
        return sorted(path.name.split("-")[1] for path in self.here.glob("cpython-*") if not path.is_symlink())

    def links(self) -> dict[str, str]:
        """Stable links and those in bin_dir: name to what they lead to, without the root."""
        found = [path for path in (*self.here.glob("cpython-*"), *self.bin.glob("python*")) if path.is_symlink()]
        return {path.name: str(path.readlink()).removeprefix(f"{self.root}/") for path in sorted(found)}


@dataclass(frozen=True, slots=True)
class Step:
    """``steps``: the verb and the version of each thing done, such as ``install 3.13.0``; None means that nothing is to do.

    ``says`` is a part of the error that is expected instead, and ``remark`` a part of a warning.
    """

    declared: Mapping[str, Any]
    does: tuple[str, ...] = ()
    builds: tuple[str, ...] | None = None
    links: Mapping[str, str] | None = None
    first: Callable[[Place], object] | None = None
    then: Callable[[Place], object] | None = None
    says: str = ""
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    steps: tuple[Step, ...]


OLD13, NEW13, LATER13, OLD12 = f"{V13}+{OLD}", f"{V13}+{NEW}", f"{V13LATER}+{NEWER}", f"{V12}+{OLD}"
TRIPLE = "x86_64-unknown-linux-gnu-install_only_stripped"


def _name(build: str) -> str:
    return f"cpython-{build}-{TRIPLE}"


def _lines(**builds: str) -> dict[str, str]:
    """Links of plain lines: _lines(3_13=OLD13) -> cpython-3.13 and python3.13."""
    links: dict[str, str] = {}
    for line, build in builds.items():
        minor = line.removeprefix("v").replace("_", ".")
        links[f"cpython-{minor}"] = _name(build)
        links[f"python{minor}"] = f"cpython-{minor}/bin/python{minor}"
    return links


def _remove(*paths: str) -> Callable[[Place], None]:
    """Remove files of the one 3.13 build, given relative to it."""

    def remove(place: Place) -> None:
        for path in paths:
            target = place.build("3.13") / path
            shutil.rmtree(target) if target.is_dir() and not target.is_symlink() else target.unlink()

    return remove


def _write(path: str, text: str) -> Callable[[Place], None]:
    def write(place: Place) -> None:
        target = place.here / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_symlink():
            target.unlink()
        target.write_text(text)

    return write


def _append(path: str) -> Callable[[Place], None]:
    def append(place: Place) -> None:
        with (place.build("3.13") / path).open("a") as file:
            file.write("# altered\n")

    return append


def _found_damaged(place: Place) -> None:
    """The full check of the step before recorded that all is well; make it say that it found damage."""
    (record,) = (place.here / ".standalone-python.checked").iterdir()
    text = record.read_text()
    assert text.endswith(" clean\n"), text
    record.write_text(text.replace(" clean", " its files differ from what was installed: lib/a.py"))


def _nothing_recorded(place: Place) -> None:
    assert not (place.here / ".standalone-python.checked").exists()


def _there(path: str, text: str) -> Callable[[Place], None]:
    def there(place: Place) -> None:
        assert (place.here / path).read_text() == text, f"{path} was touched"

    return there


def _killed(place: Place) -> None:
    """What a run leaves that was killed while it unpacked."""
    (place.here / ".standalone-python.staging" / _name(LATER13) / "python").mkdir(parents=True)
    (place.here / ".standalone-python.staging" / _name(LATER13) / "python" / "half").write_text("half")
    (place.here / ".standalone-python.lock").symlink_to("1:1:00000000-0000-0000-0000-000000000000:" + _hostname(place))


def _hostname(place: Place) -> str:
    return (place.files / "etc/hostname").read_text().strip() if place.files != Path("/") else os.uname().nodename


def _killed_exchange(place: Place) -> None:
    """What a run leaves that was killed between the two renames of an exchange."""
    build = place.build("3.13")
    (place.here / ".standalone-python.staging" / build.name).mkdir(parents=True)
    build.rename(place.here / ".standalone-python.staging" / build.name / "old")


def _no_leftovers(place: Place) -> None:
    assert not (place.here / ".standalone-python.staging").exists()
    assert not (place.here / ".standalone-python.lock").is_symlink()


def _receipt(**expected: object) -> Callable[[Place], None]:
    def check(place: Place) -> None:
        receipt = json.loads((place.build("3.13") / ".standalone-python/receipt.json").read_text())
        assert {key: receipt[key] for key in expected} == expected

    return check


_services: dict[Path, subprocess.Popen[str]] = {}
_SERVICE = "import sys\nfor name in sys.stdin: print(__import__(name.strip()).__file__, flush=True)"


def starts(version: str) -> Callable[[Place], None]:
    """A service begins to run from the build of that version. It imports modules when it is asked to."""

    def start(place: Place) -> None:
        command = [str(place.build(version) / "bin/python3"), "-I", "-c", _SERVICE]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        _services[place.here] = process
        imports("colorsys")(place)

    return start


def imports(module: str) -> Callable[[Place], None]:
    """The service still finds a module that it has not needed before."""

    def ask(place: Place) -> None:
        process = _services[place.here]
        assert process.stdin
        assert process.stdout
        process.stdin.write(f"{module}\n")
        process.stdin.flush()
        assert process.stdout.readline().startswith(f"{place.here}/cpython-")

    return ask


def ends(place: Place) -> None:
    process = _services.pop(place.here)
    assert process.stdin
    process.stdin.close()
    assert process.wait() == 0


ONE = Step({"builds": [OLD13]}, (f"install {OLD13}",), (OLD13,), _lines(v3_13=OLD13))

CASES = (
    Case(
        "install",
        (
            Step({"builds": ["3.13"]}, (f"install {LATER13}",), (LATER13,), _lines(v3_13=LATER13)),
            Step({"builds": ["cpython@3.13", ">=3.13.1,<3.14"]}, (), (LATER13,)),
        ),
    ),
    Case(
        "two and a default",
        (
            Step(
                {"builds": ["3.13", {"version": "3.12", "default": True}]},
                (f"install {LATER13}", f"install {OLD12}"),
                (OLD12, LATER13),
                {
                    **_lines(v3_12=OLD12, v3_13=LATER13),
                    "python": "cpython-3.12/bin/python3",
                    "python3": "cpython-3.12/bin/python3",
                },
            ),
            # No build is the default: python3 and python stay, and go only where a declaration says so.
            Step(
                {"builds": ["3.13", "3.12"], "exclusive": True},
                (),
                (OLD12, LATER13),
                {
                    **_lines(v3_12=OLD12, v3_13=LATER13),
                    "python": "cpython-3.12/bin/python3",
                    "python3": "cpython-3.12/bin/python3",
                },
                remark="python3 and python still lead to 3.12, as no build is declared with default: true",
            ),
            Step(
                {"builds": ["3.13", {"version": "3.12", "default": False}]},
                (),
                (OLD12, LATER13),
                _lines(v3_12=OLD12, v3_13=LATER13),
            ),
        ),
    ),
    Case(
        "upgrade and back",
        (
            ONE,
            Step(
                {"builds": ["3.13"], "state": "latest"},
                (f"upgrade {LATER13}",),
                (OLD13, LATER13),
                _lines(v3_13=LATER13),
                then=_there(".standalone-python.history", f"{_name(OLD13)}\n"),
            ),
            Step({"builds": [OLD13]}, (), (OLD13, LATER13), _lines(v3_13=OLD13)),
            Step({"builds": ["3.13"], "state": "latest", "keep": 0}, (f"remove {OLD13}",), (LATER13,), _lines(v3_13=LATER13)),
            Step({"builds": [OLD13]}, (f"downgrade {OLD13}",), (OLD13, LATER13), _lines(v3_13=OLD13)),
        ),
    ),
    Case(
        "a rebuild of the same version",
        (
            ONE,
            Step({"builds": [f"=={V13}"], "state": "latest"}, (f"upgrade {NEW13}",), (OLD13, NEW13), _lines(v3_13=NEW13)),
        ),
    ),
    Case(
        "repair",
        (
            ONE,
            Step(ONE.declared, (f"repair {OLD13}",), (OLD13,), first=_remove("bin/python3.13")),
            Step(ONE.declared, (f"repair {OLD13}",), (OLD13,), first=_remove("lib/python3.13/json")),
            Step(ONE.declared, (), (OLD13,), first=_append("lib/python3.13/json/decoder.py")),
            Step({**ONE.declared, "verify": "full"}, (f"repair {OLD13}",), (OLD13,)),
            # Its files are sound, and the record of the check is all that says otherwise.
            Step(ONE.declared, (f"repair {OLD13}",), (OLD13,), first=_found_damaged, then=_nothing_recorded),
        ),
    ),
    Case(
        "links that are gone or wrong",
        (
            ONE,
            Step(ONE.declared, (), None, _lines(v3_13=OLD13), first=lambda place: (place.bin / "python3.13").unlink()),
            Step(ONE.declared, (), None, _lines(v3_13=OLD13), first=lambda place: (place.here / "cpython-3.13").unlink()),
            Step({**ONE.declared, "links": []}, (), None, {"cpython-3.13": _name(OLD13)}),
        ),
    ),
    Case(
        "removal",
        (
            Step({"builds": [OLD13, "3.12"]}, (f"install {OLD13}", f"install {OLD12}")),
            Step({"builds": ["3.13"], "state": "absent"}, (f"remove {OLD13}",), (OLD12,), _lines(v3_12=OLD12)),
            Step({"builds": ["3.14"], "state": "absent"}, (), (OLD12,)),
            Step(
                {"builds": [LATER13], "exclusive": True},
                (f"install {LATER13}", f"remove {OLD12}"),
                (LATER13,),
                _lines(v3_13=LATER13),
            ),
            Step({"builds": [], "exclusive": True}, (f"remove {LATER13}",), (), {}),
        ),
    ),
    Case(
        "what is not ours",
        (
            Step(
                ONE.declared,
                says="not created by standalone-python",
                builds=(),
                first=_write("bin/python3.13", "mine"),
                then=_there("bin/python3.13", "mine"),
            ),
            Step({**ONE.declared, "links": []}, (f"install {OLD13}",), (OLD13,), then=_there("bin/python3.13", "mine")),
            Step({**ONE.declared, "force": True}, (), (OLD13,), _lines(v3_13=OLD13)),
            Step(
                {"builds": ["3.12"]},
                says="not created by standalone-python",
                builds=("3.12.1+20250115", OLD13),
                first=_write(f"{_name(OLD12)}/mine", "mine"),
                then=_there(f"{_name(OLD12)}/mine", "mine"),
            ),
        ),
    ),
    Case(
        "after a killed run",
        (
            ONE,
            Step(ONE.declared, ("clear",), (OLD13,), first=_killed, then=_no_leftovers),
            Step(ONE.declared, ("clear", f"install {OLD13}"), (OLD13,), first=_killed_exchange, then=_no_leftovers),
        ),
    ),
    Case(
        "how a build is finished",
        (
            Step(ONE.declared, (f"install {OLD13}",), then=_receipt(externally_managed=True, compile_bytecode=False)),
            Step({**ONE.declared, "externally_managed": False}, (f"reinstall {OLD13}",), then=_receipt(externally_managed=False)),
            Step(
                {**ONE.declared, "externally_managed": False, "compile_bytecode": True, "mode": "0750"},
                (f"reinstall {OLD13}",),
                then=_receipt(compile_bytecode=True, mode="0750"),
            ),
        ),
    ),
    Case(
        "requests that can't be met",
        (
            Step({"builds": ["3.9"]}, says="no build of 3.9 for x86_64 linux", builds=()),
            Step({"builds": ["three"]}, says="can't be read", builds=()),
            Step({"builds": [3.1]}, says="'3.10'", builds=()),
            Step({"builds": [f"{V13}+20200101"]}, says="20200101", builds=()),
        ),
    ),
)
