# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dataclasses whose methods are generated with the first instance.

Generating them takes half a millisecond a class, with the modules that a command imports a tenth of its time. It is for classes
that a run without changes does not instantiate; all others are plain dataclasses, so that Ansible's workers find them generated.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

__all__ = ["lazy_dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass as lazy_dataclass
else:

    def lazy_dataclass(**options):
        """Like ``dataclass``, without ``slots``. It is for classes without a base, and no class inherits from one."""

        def decorate(cls):
            content = {name: value for name, value in vars(cls).items() if name not in ("__dict__", "__weakref__")}
            made = type(cls.__name__, (_Unfinished,), content)
            made.__qualname__ = cls.__qualname__
            _UNFINISHED[made] = options
            return made

        return decorate


_UNFINISHED: dict[type, dict[str, Any]] = {}
_LOCK = threading.RLock()


class _Unfinished:
    """Its ``__init__`` is in use until ``dataclass`` has given the class its own."""

    def __init__(self, *values: Any, **named: Any) -> None:
        cls = type(self)
        with _LOCK:
            if cls in _UNFINISHED:
                dataclass(**_UNFINISHED[cls])(cls)
                del _UNFINISHED[cls]
        cls.__init__(self, *values, **named)  # pylint: disable=non-parent-init-called

    def __init_subclass__(cls) -> None:
        if cls.__bases__ != (_Unfinished,):
            raise TypeError(f"{cls.__name__} inherits from a lazy dataclass: make that one a dataclass")
