# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of agents, recorded on hosts: name -> text."""

from __future__ import annotations

from pathlib import Path

RECORDED = {
    path.stem: path.read_text(encoding="utf-8") for path in (Path(__file__).parents[1] / "core/observations").glob("*.txt")
}
