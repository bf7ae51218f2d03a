# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the commands for one machine share: which machine or image, its folders, and the options that say so."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any

import click

from ansible_collections.standalone.python.plugins.plugin_utils.core.ensure import observe
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import DeclarationError
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import Desired, declare, observing
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.folders import DEFAULT_ROOT
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.observed import Observed

from ..local import ImageHost, LocalHost

Host = LocalHost | ImageHost
Command = Callable[..., int]


@dataclass(frozen=True, slots=True)
class Where:
    """The options of :data:`WHERE`."""

    file: str | None
    key: str
    root: str | None
    bin_dir: str | None
    root_dir: str | None
    target: str | None


def options(*decorators: Callable[[Any], Any]) -> Callable[[Command], Command]:
    def decorate(function: Command) -> Command:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


def _collect(function: Command) -> Command:
    @wraps(function)
    def command(**given: Any) -> int:
        where = Where(**{name: given.pop(name) for name in Where.__slots__})
        return function(where=where, **given)

    return command


def _with_argument(function: Command) -> Command:
    @wraps(function)
    def command(where: Where, named: str | None, **given: Any) -> int:
        if named is not None and where.file is not None:
            raise click.UsageError("FILE is given twice, as an argument and with --file: leave one of them out")
        return function(where=replace(where, file=where.file if named is None else named), **given)

    return command


WHERE = options(
    click.option("-f", "--file", metavar="FILE", help="The declaration that `apply` takes: it names the root and other options."),
    click.option("--key", metavar="KEY", default="", help="The key in FILE that holds the declaration, if it isn't all of FILE."),
    click.option("--root", metavar="ROOT", help=f"The folder that holds the builds.  [default: {DEFAULT_ROOT}]"),
    click.option("--bin-dir", metavar="DIR", help="The folder of the links.  [default: /usr/local/bin, or ROOT/bin]"),
    click.option("--root-dir", metavar="IMAGE", help="An image's unpacked root instead of this machine."),
    click.option("--target", metavar="TRIPLE", help="The image's kind of host, if it isn't this machine's kind."),
    _collect,
)
# The same file as an argument, for commands without other arguments.
FILE = options(click.argument("named", metavar="[FILE]", required=False), WHERE, _with_argument)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
DRY_RUN = click.option(
    "-n", "--dry-run", is_flag=True, help="Only show what would be done; the exit code is 2 if something would."
)


def look(where: Where) -> Observed:
    """Observe a machine or an image, with facts."""
    with open_host(where) as host:
        return observe(host, host.placed(observing(folders(where))), facts="yes")


def open_host(where: Where, *, to_install: bool = False) -> Host:
    if where.root_dir is None:
        if where.target is not None and not to_install:
            raise DeclarationError(f"--target {where.target} is the kind of an image's machine: name the image with --root-dir")
        return LocalHost()
    if not where.root_dir:
        raise DeclarationError("--root-dir is empty: name the unpacked root of an image")
    from ..image import image_host

    return image_host(os.path.expanduser(where.root_dir), where.target or "", to_install=to_install)


def declared(where: Where, given: Mapping[str, Any], source: str | None = None) -> Desired:
    """Return the declaration of FILE, if one is given, with options that override it.

    :param source: the command line's source
    :raises StandalonePythonError: the file can't be read, or an option is not valid
    """
    if where.file is None:
        return declare(given)
    from ..declarations import load

    return load(where.file, where.key).declare(source=source, given=given)


def folders(where: Where) -> dict[str, str]:
    """Return root and bin_dir of the command line, or else of FILE, which has to be valid."""
    found: dict[str, str] = {}
    if where.file is not None:
        from ..declarations import load

        read = load(where.file, where.key)
        read.declare(given={} if "builds" in read.options else {"builds": []})
        found = {name: read.options[name] for name in ("root", "bin_dir") if read.options.get(name) is not None}
    return found | given_folders(where)


def given_folders(where: Where) -> dict[str, str]:
    """Return root and bin_dir of the command line. Relative paths start at the current folder, but not those in an image."""
    found: dict[str, str] = {}
    for name, value in (("root", where.root), ("bin_dir", where.bin_dir)):
        if value == "":
            raise DeclarationError(f"{name} is empty: name a folder")
        if value is not None:
            in_image = where.root_dir is not None
            found[name] = value if in_image or value.startswith(("/", "~/")) else os.path.abspath(value)
    return found
