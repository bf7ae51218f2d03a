# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``standalone-python schema``: the JSON Schema of a declaration. scripts/schema.py makes the file."""

from __future__ import annotations

import os

import click

FILE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "declaration.schema.json")


@click.command()
def schema() -> None:
    """Print the JSON Schema of a declaration, from which an editor completes and checks FILE of `apply`.

    Keep it beside the file, and name it there:

    \b
        standalone-python schema > python.schema.json
        # yaml-language-server: $schema=python.schema.json
    """
    with open(FILE, encoding="utf-8") as file:
        click.echo(file.read(), nl=False)
