"""The builds that the cases speak of, as a folder laid out like upstream's releases; and the hosts."""

from __future__ import annotations

from tests.tools.hosts.fixtures import fleet, fresh_host
from tests.tools.sources import source

__all__ = ["fleet", "fresh_host", "source"]
