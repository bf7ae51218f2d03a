# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What click answers to an unknown command or value: the nearest valid one. click itself answers to an unknown option."""

from __future__ import annotations

from collections.abc import Mapping
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

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the first sentence of each command's help. The inherited method cuts it after a few words."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.get_short_help_str(limit=200)) for name, command in commands if command])


class Choice(click.Choice):  # type: ignore[type-arg]  # not generic before click 8.2
    """One of a few values."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value not in self.choices:
            self.fail(f"{value!r} is not valid, {did_you_mean(str(value), list(self.choices))}", param, ctx)
        return super().convert(value, param, ctx)


# A missing argument -> what to write after the command's name.
ARGUMENTS: Mapping[str, str] = {
    "REQUEST...": "3.13",
    "FILE": "pythons.yml",
    "BUILD...": "cpython-3.13.7+20250918-x86_64-unknown-linux-gnu-install_only_stripped",
}
# An option without its value -> a command. click does not say which command the option belongs to.
OPTIONS: Mapping[str, str] = {"--default": "standalone-python install 3.13 --default 3.13"}


def with_example(error: click.UsageError) -> click.UsageError:
    """Return the error with an example of the command, if it says that a word is missing and an example is known."""
    example = ""
    if isinstance(error, click.MissingParameter) and error.param and error.ctx:
        words = ARGUMENTS.get(str(error.param.metavar), "")
        example = words and f"{error.ctx.command_path} {words}"
    elif isinstance(error, click.BadOptionUsage):
        example = OPTIONS.get(error.option_name, "")
    return click.UsageError(f"{error.format_message()} For example: {example}", error.ctx) if example else error


def not_an_option(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Refuse an option's value that is another option: click takes the next word, whatever it is."""
    if value is not None and value.startswith("-"):
        raise click.BadOptionUsage(param.opts[0], f"Option {param.opts[0]!r} requires an argument.", ctx)
    return value
