# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts as pytest fixtures.

A test that asks for one is skipped, with the reason, where the machine can't make hosts, and for no other
cause.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import pytest

from . import KINDS, Host, start, stop, unavailable
from . import fleet as fleet_of
from .bases import unpacked


class FreshHost(Protocol):
    """Starts a host that no other test sees; the options are those of ``start``."""

    def __call__(self, kind: str, *, disk_mb: int = 0, file_transfer: bool = True, network: bool = True) -> Host: ...


_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def fleet() -> Iterator[Mapping[str, Host]]:
    """One host of each kind by kind, for tests that leave no trace that another would trip over."""
    if reason := unavailable():
        pytest.skip(reason)
    with fleet_of(len(KINDS), tuple(KINDS)) as hosts:
        yield {host.kind: host for host in hosts}


@pytest.fixture
def fresh_host() -> Iterator[FreshHost]:
    """A factory of hosts that end with the test."""
    if reason := unavailable():
        pytest.skip(reason)
    hosts: list[Host] = []

    def fresh(kind: str, *, disk_mb: int = 0, file_transfer: bool = True, network: bool = True) -> Host:
        name = f"{kind}-fresh-{next(_numbers)}"
        hosts.append(start(kind, name, disk_mb=disk_mb, file_transfer=file_transfer, network=network))
        return hosts[-1]

    yield fresh
    stop(*hosts)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """An unpacked Debian."""
    if reason := unavailable():
        pytest.skip(reason)
    return unpacked("debian", tmp_path / "image")
