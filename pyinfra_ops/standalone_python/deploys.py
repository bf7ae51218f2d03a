# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that have no Python get one, as the inventory's data says."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api.deploy import deploy

from .operations import interpreters

DATA = {"standalone_python": {"builds": [{"version": "3", "default": True}]}}


@deploy("Python on a host that has none", data_defaults=DATA)
def prepare() -> None:
    """
    Give a host the interpreters that its data declares, so that what needs a Python can run there.

    The data ``standalone_python``, of a host, its groups or all, is a mapping of options of the operation `interpreters`. Where
    there is none, the host gets the newest Python 3 that runs on it, with the links ``python3`` and ``python``.

    **Example:**

    .. code:: python

        # group_data/all.py
        standalone_python = {"builds": [{"version": "3.13", "default": True}], "state": "latest"}

        # deploy.py
        from pyinfra_ops import standalone_python

        standalone_python.prepare(_sudo=True)
    """
    interpreters(name="Interpreters", **host.data.standalone_python)
