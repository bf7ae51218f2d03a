# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command completion."""

from __future__ import annotations

import click

from ..words import Choice


@click.command()
@click.argument("shell", type=Choice(("bash", "zsh", "fish")))
def completion(shell: str) -> int:
    """Print the script with which SHELL completes commands, options, files, targets and versions.

    \b
    In ~/.bashrc:                 eval "$(standalone-python completion bash)"
    In ~/.zshrc, after compinit:  eval "$(standalone-python completion zsh)"
    For fish:                     standalone-python completion fish > ~/.config/fish/completions/standalone-python.fish
    """
    from ..completion import script

    click.echo(script(shell), nl=False)
    return 0
