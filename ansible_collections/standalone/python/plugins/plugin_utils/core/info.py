# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of a host by a front end that only observes: plain data, the same in each. No I/O."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from .observed import Installed, Observed
from .target import from_facts


def info(observed: Observed) -> dict[str, Any]:
    """The host's interpreters and target; the keys are those that the module ``interpreters_info`` documents.

    :param observed: with facts
    :raises ObservationError: the facts are not whole
    """
    target = from_facts(observed.facts)
    return {
        "root": observed.root,
        "bin_dir": observed.bin_dir,
        "interpreters": [_interpreter(installed, observed) for installed in observed.installed],
        "target": asdict(target) | {"triple": target.triple},
        "tools": sorted(observed.tools),
    }


def _interpreter(installed: Installed, observed: Observed) -> dict[str, Any]:
    build = installed.build
    prefix = f"{observed.root}/{installed.name}"
    stable = [path for path, target in observed.links.items() if target == installed.name]
    return {
        "version": str(build.version),
        "release": build.release,
        "target": build.triple,
        "variant": build.variant,
        "flavor": build.flavor,
        "path": f"{prefix}/bin/python3",
        "stable_path": f"{stable[0] if stable else prefix}/bin/python3",
        "prefix": prefix,
        "installed_at": installed.installed_at,
        "sound": not installed.fault,
        "fault": installed.fault,
        "extra": list(installed.extra),
    }
