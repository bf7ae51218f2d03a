"""Hosts and builds for what the documentation tells people to run."""

from __future__ import annotations

from tests.tools.hosts.fixtures import fleet
from tests.tools.sources import source

__all__ = ["fleet", "source"]
