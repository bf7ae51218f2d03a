# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Completion for bash, zsh and fish: the answers to a shell, and the scripts that ask for them.

click finds out what the cursor is at; the values come from here. An answer contacts no host and no network, and prints no error:
where something can't be read, it offers nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import click
from click.shell_completion import CompletionItem, FishComplete, ShellComplete, ZshComplete, shell_complete

PROGRAM = "standalone-python"
VARIABLE = "_STANDALONE_PYTHON_COMPLETE"

Source = Callable[[click.Context, str], Iterable["str | CompletionItem[str]"]]

# Also for the bash 3.2 of macOS, which has neither nosort nor compopt.
_BASH = """\
%(complete_func)s() {
    local IFS=$'\\n' line word=${COMP_WORDS[COMP_CWORD]}
    COMPREPLY=()
    for line in $(env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD="$COMP_CWORD" %(complete_var)s=bash_complete "$1" 2>/dev/null); do
        case $line in
            dir,*) compopt -o dirnames 2>/dev/null || COMPREPLY+=($(compgen -d -- "$word")) ;;
            file,*) compopt -o default 2>/dev/null || COMPREPLY+=($(compgen -f -- "$word")) ;;
            *) COMPREPLY+=("${line#*,}") ;;
        esac
    done
}
complete -o nosort -F %(complete_func)s %(prog_name)s 2>/dev/null || complete -F %(complete_func)s %(prog_name)s
"""


class Bash(ShellComplete):
    name = "bash"
    source_template = _BASH


_SHELLS: Mapping[str, type[ShellComplete]] = {"bash": Bash, "zsh": ZshComplete, "fish": FishComplete}


def script(shell: str) -> str:
    """Return the script that a shell reads to complete this program's words."""
    return _SHELLS[shell](click.Command(PROGRAM), {}, PROGRAM, VARIABLE).source()


def answer(group: click.Group, request: str) -> None:
    """Print what a shell asks for in its environment variables.

    :param request: the value of VARIABLE, such as ``bash_complete``
    """
    # Whatever is wrong, the terminal shows only the line that the user types.
    sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    shell_complete(Completing(group), {}, PROGRAM, VARIABLE, request)


class Completing(click.Group):
    """The commands of another group, with our values for their parameters."""

    def __init__(self, group: click.Group) -> None:
        super().__init__(group.name, params=group.params)
        self._group = group

    def list_commands(self, ctx: click.Context) -> list[str]:
        return self._group.list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        command = self._group.get_command(ctx, cmd_name)
        return _with_values(command) if command else None

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[Any]]:
        return self._group.shell_complete(ctx, incomplete)


def _with_values(command: click.Command) -> click.Command:
    for parameter in command.params:
        source = _VALUES.get(parameter.name or "")
        if source:
            parameter.shell_complete = _values(source)  # type: ignore[assignment, method-assign]
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        _with_values(inner)
    return command


def _values(source: Source) -> Callable[[click.Context, str], list[CompletionItem[Any]]]:
    def values(ctx: click.Context, incomplete: str) -> list[CompletionItem[Any]]:
        try:
            found = [CompletionItem(one) if isinstance(one, str) else one for one in source(ctx, incomplete)]
        except Exception:
            return []
        return [one for one in found if one.type != "plain" or one.value.startswith(incomplete)]

    return values


def _files(_ctx: click.Context, incomplete: str) -> Iterator[str | CompletionItem[str]]:
    yield CompletionItem(incomplete, type="file")


def _folders(_ctx: click.Context, incomplete: str) -> Iterator[str | CompletionItem[str]]:
    yield CompletionItem(incomplete, type="dir")


def _words_or_files(*words: str) -> Source:
    def source(ctx: click.Context, incomplete: str) -> Iterator[str | CompletionItem[str]]:
        fitting = [word for word in words if word.startswith(incomplete)]
        # A shell that was told to look for files shows nothing else.
        yield from fitting or _files(ctx, incomplete)

    return source


def _targets(_ctx: click.Context, _incomplete: str) -> Iterable[str]:
    from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.target import TRIPLES

    return TRIPLES


def _requests(ctx: click.Context, incomplete: str) -> Iterable[str]:
    """Return what the command's REQUEST may be: what is installed, or what exists."""
    if ctx.info_name in ("uninstall", "remove"):
        return _installed(ctx, with_versions=True)
    return _installed(ctx, with_versions=False) if ctx.info_name == "upgrade" else _available(ctx, incomplete)


def _lines(ctx: click.Context, _incomplete: str) -> Iterable[str]:
    return _installed(ctx, with_versions=False)


def _installed(ctx: click.Context, *, with_versions: bool) -> list[str]:
    """Return requests for the builds in the root that the words before name: lines, and versions, newest first."""
    from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import parse_name

    found = filter(None, map(parse_name, os.listdir(_root(ctx))))
    builds = sorted(found, key=lambda build: build.age, reverse=True)
    lines = dict.fromkeys(_request(build.version.minor_line, build.variant) for build in builds)
    versions = dict.fromkeys(_request(str(build.version), build.variant) for build in builds)
    return [*lines, *(versions if with_versions else ())]


def _root(ctx: click.Context) -> str:
    from ansible_collections.standalone.python.plugins.plugin_utils.core.state.folders import DEFAULT_ROOT

    given: dict[str, Any] = ctx.params
    root = given.get("root") or ""
    if not root and given.get("file") not in (None, "-"):
        from .declarations import load

        root = load(given["file"], given.get("key") or "").options.get("root", "")
    root = os.path.expanduser(root or DEFAULT_ROOT)
    image = given.get("root_dir")
    return os.path.join(os.path.expanduser(image), root.lstrip("/")) if image else root


def _available(_ctx: click.Context, incomplete: str) -> list[str]:
    """Return requests for builds that exist, newest first: lines, or the versions of the line that the word begins with."""
    from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import bundled
    from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.listing import versions

    catalogue = bundled()
    minor = ".".join(incomplete.split(".")[:2])
    if incomplete.count(".") < 2 or minor not in catalogue.minors:
        return list(catalogue.minors)
    return list(map(str, versions(catalogue, minor)))


def _request(version: str, variant: str) -> str:
    return version + ("t" if variant == "freethreaded" else f"+{variant}" if variant else "")


# The name of a parameter, of whichever command -> its values.
_VALUES: Mapping[str, Source] = {
    **dict.fromkeys(("file", "named", "lockfile", "trusted_root", "output", "path", "html", "prometheus", "cyclonedx"), _files),
    **dict.fromkeys(("files", "inventories", "inventory", "document", "archives"), _files),
    **dict.fromkeys(("root", "bin_dir", "root_dir", "roots", "dest"), _folders),
    **dict.fromkeys(("target", "targets", "triples"), _targets),
    **dict.fromkeys(("catalogue", "known"), _words_or_files("bundled", "updated")),
    **dict.fromkeys(("source", "where"), _words_or_files("upstream")),
    "requests": _requests,
    **dict.fromkeys(("request", "default"), _available),
    "line": _lines,
}
