# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What click answers to an unknown command or value: the nearest valid one. click itself answers to an unknown option."""

from __future__ import annotations

from typing import Any

import click

from ansible_collections.standalone.python.plugins.plugin_utils.core.nearest import did_you_mean, unknown


class Group(click.Group):
    """A group of commands."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if not (name.startswith("-") or ctx.resilient_parsing or self.get_command(ctx, name)):
            raise click.UsageError(unknown("command", name, self.list_commands(ctx)), ctx)
        return super().resolve_command(ctx, args)


class Choice(click.Choice):  # type: ignore[type-arg]  # not generic before click 8.2
    """One of a few values."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value not in self.choices:
            self.fail(f"{value!r} is not valid, {did_you_mean(str(value), list(self.choices))}", param, ctx)
        return super().convert(value, param, ctx)
