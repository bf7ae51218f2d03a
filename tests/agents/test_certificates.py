# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``certificates: system`` in every shell: which of the host's files is found, which one is refused, and what becomes of it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents import sh
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import AgentError
from tests.agents import fakes
from tests.agents.driver import Archives, local_host, make
from tests.agents.place import POSIX, Shell, needed, tree

pytestmark = [POSIX, pytest.mark.skipif(os.geteuid() != 0, reason="needs root: files get other owners")]

BUILD = fakes.fake("3.13.1")
PEM = "# made by a package\n\n-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n"
OPTIONS = {"builds": ["3.13"], "links": [], "certificates": "system"}
STATE = "; the host is as it was"


@pytest.fixture
def places(disk: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Three places where the host may have certificates; each in a folder of its own."""
    found = [disk / "etc" / name / "certificates.pem" for name in ("one", "it's", "three")]
    for place in found:
        place.parent.mkdir(parents=True)
    monkeypatch.setattr(sh, "CERTIFICATES", tuple(map(str, found)))
    return found


def loop(place: Path) -> None:
    place.symlink_to("again.pem")
    (place.parent / "again.pem").symlink_to(place)


# What the first two places hold, so that the third is found.
SKIPPED: tuple[Callable[[Path], object], ...] = (
    lambda place: place.mkdir(),
    lambda place: place.touch(),
    lambda place: place.write_text("no certificate, and no end of the line"),
    lambda place: place.symlink_to("nowhere"),
    loop,
)


def test_the_first_file_with_a_certificate_is_used(shell: Shell, disk: Path, places: list[Path], tmp_path: Path) -> None:
    """A link is followed. When the file goes, the build is repaired with the next one; when the option goes, so does the file."""
    on, archives = local_host(shell, disk, tmp_path), Archives.of_fakes(["3.13.1"], tmp_path)
    real = disk / "etc/extracted.pem"
    real.write_text(PEM)
    places[1].symlink_to("../extracted.pem")
    places[2].write_text(PEM)

    def used(**options: object) -> tuple[list[str], str]:
        done = make(on, archives, {**OPTIONS, **options})
        receipt = json.loads((disk / "opt/python" / BUILD.name / fakes.RECEIPT).read_text())
        assert receipt["certificates"] == options.get("certificates", "system")
        return [outcome.action for outcome in done.plan.outcomes], receipt.get("certificates_file", "")

    assert used() == (["install"], str(places[1]))
    assert used() == (["none"], str(places[1]))
    real.unlink()
    assert used() == (["repair"], str(places[2]))
    assert used(certificates="build") == (["reinstall"], "")
    assert used(certificates="build") == (["none"], "")
    assert used() == (["reinstall"], str(places[2]))


def test_what_holds_no_certificate_is_passed_over(shell: Shell, disk: Path, places: list[Path], tmp_path: Path) -> None:
    on, archives = local_host(shell, disk, tmp_path), Archives.of_fakes(["3.13.1"], tmp_path)
    for first, second in zip(SKIPPED, (*SKIPPED[1:], SKIPPED[0]), strict=True):
        for place, make_it in zip(places, (first, second), strict=False):
            shutil.rmtree(place.parent)
            place.parent.mkdir()
            make_it(place)
        before = tree(disk)
        with pytest.raises(AgentError) as error:
            make(on, archives, OPTIONS)
        assert tree(disk) == before
        assert str(error.value) == (
            "finding the host's trusted certificates failed: this user can read no certificate in "
            f"{places[0]}, {places[1]}, {places[2]}: install the system's package ca-certificates, or use "
            f"certificates: build{STATE}"
        )
    places[2].write_text(PEM)
    assert make(on, archives, OPTIONS).changed


def test_a_file_that_others_can_change_is_refused(shell: Shell, disk: Path, places: list[Path], tmp_path: Path) -> None:
    """Also where they can change a folder on the way, or a link; a file that root owns and all may read is trusted."""
    on, archives = local_host(shell, disk, tmp_path), Archives.of_fakes(["3.13.1"], tmp_path)
    real = disk / "real/certificates.pem"
    real.parent.mkdir()
    real.write_text(PEM)
    places[0].symlink_to(real)
    for path, mode, owner, why in (
        (real, 0o666, 0, "every user can write to {} (its mode is -rw-rw-rw-)"),
        (real, 0o644, 54321, "{} belongs to the user with the number 54321"),
        (real.parent, 0o777, 0, "every user can write to {} (its mode is drwxrwxrwx)"),
        (places[0].parent, 0o755, 54321, "{} belongs to the user with the number 54321"),
    ):
        was = path.stat()
        path.chmod(mode)
        os.chown(path, owner, 0)
        before = tree(disk)
        with pytest.raises(AgentError) as error:
            make(on, archives, OPTIONS)
        assert tree(disk) == before
        assert str(error.value) == (
            f"finding the host's trusted certificates failed: {why.format(path)}, and the interpreter would trust what is in it: "
            f"let only root and this user change it, or use certificates: build{STATE}"
        )
        os.chown(path, was.st_uid, was.st_gid)
        path.chmod(was.st_mode)
    assert make(on, archives, OPTIONS).changed


def test_a_user_passes_over_what_only_root_can_read(shell: Shell, disk: Path, places: list[Path], tmp_path: Path) -> None:
    """The user's own file is trusted."""
    needed("setpriv")
    user = 54321
    for folder in (tmp_path, *tmp_path.parents):
        folder.chmod(folder.stat().st_mode | 0o011)
    on = local_host(shell, disk, tmp_path, **{"PATH": os.environ["PATH"]} if shell.tools else {})
    archives = Archives.of_fakes(["3.13.1"], tmp_path)
    os.chown(disk, user, user)
    for place, mode, owner in zip(places, (0o600, 0o600, 0o644), (0, user, 0), strict=True):
        place.write_text(PEM)
        place.chmod(mode)
        os.chown(place, owner, 0)
    on.as_user = user
    make(on, archives, OPTIONS)
    assert json.loads((disk / "opt/python" / BUILD.name / fakes.RECEIPT).read_text())["certificates_file"] == str(places[1])
