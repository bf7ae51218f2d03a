"""The builds that the cases speak of, as a folder laid out like upstream's releases; and the hosts."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conformance.cases import NEW, NEWER, OLD, V12, V13, V13LATER
from tests.tools.hosts.fixtures import fleet, fresh_host

__all__ = ["fleet", "fresh_host"]

RELEASES = (("3.12", OLD, V12), ("3.13", OLD, V13), ("3.13", NEW, V13), ("3.13", NEWER, V13LATER))


@pytest.fixture(scope="session")
def source(builds: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``TAG/FILE`` and ``TAG/SHA256SUMS``, as ``source: FOLDER`` wants it."""
    folder = tmp_path_factory.mktemp("source")
    for minor, tag, version in RELEASES:
        packed = builds(minor, tag=tag, version=version)
        release = folder / tag
        release.mkdir(exist_ok=True)
        os.symlink(packed, release / packed.name)
        with (release / "SHA256SUMS").open("a") as sums:
            sums.write((packed.parent / "SHA256SUMS").read_text())
    return folder
