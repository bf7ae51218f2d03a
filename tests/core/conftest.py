# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How properties are tested here: without a time limit for one example, which a busy machine would miss."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("standalone-python", deadline=None)
settings.load_profile("standalone-python")
