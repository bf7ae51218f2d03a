# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The entry point: the list of commands, their common behaviour, and the exit codes of errors.

A command's module is imported when the command is called, so that no command waits for another's imports.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

import click

from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import StandalonePythonError
from ansible_collections.standalone.python.plugins.plugin_utils.core.libraries import libraries_explained
from ansible_collections.standalone.python.plugins.plugin_utils.core.progress import listening

from . import output
from .console import CONSOLE, options, with_options
from .exits import FAILED, SIGNALLED, USAGE, EndedBySignal
from .streams import leave, prepare
from .version import version
from .words import Group, with_example

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# Windows has no SIGHUP.
_HEEDED = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]

# Name -> module:attribute, and the line that --help shows.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "install": ("standalone_python.commands.install:install", "install the newest build of a version, such as 3.13"),
    "upgrade": ("standalone_python.commands.install:upgrade", "upgrade what is installed to its newest build"),
    "uninstall": ("standalone_python.commands.uninstall:uninstall", "remove installed interpreters"),
    "plan": ("standalone_python.commands.apply:plan", "show what a declaration would change on this machine"),
    "apply": ("standalone_python.commands.apply:apply", "install, upgrade and remove builds as declared"),
    "status": ("standalone_python.commands.status:status", "show which interpreters are installed"),
    "verify": ("standalone_python.commands.status:verify", "compare every installed file with what was installed"),
    "rollback": ("standalone_python.commands.rollback:rollback", "point a stable link back to the previous build"),
    "schema": ("standalone_python.commands.schema:schema", "print the JSON Schema of a declaration, for editors"),
    "lock": ("standalone_python.commands.lock:lock", "write a lock file: the build for each request and target"),
    "script": ("standalone_python.commands.script:script", "write one script that installs builds on hosts without a controller"),
    "catalogue": ("standalone_python.commands.catalogue:catalogue", "list, show and update the known builds"),
    "advisories": ("standalone_python.commands.advisories:advisories", "list the known vulnerabilities of builds"),
    "sbom": ("standalone_python.commands.sbom:sbom", "print a CycloneDX document of what interpreters contain"),
    "report": ("standalone_python.commands.report:report", "show what is wrong with the interpreters of a fleet"),
    "mirror": ("standalone_python.commands.mirror:group", "sync, verify and export a folder of builds for any web server"),
    "cache": ("standalone_python.commands.cache:cache", "show and prune this user's cache of builds"),
    "completion": ("standalone_python.commands.completion:completion", "print the script with which a shell completes words"),
}
# Another name of a command, for those who are used to it from other tools.
ALIASES: Mapping[str, str] = {"remove": "uninstall"}


class _Commands(Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = ALIASES.get(cmd_name, cmd_name)
        if name not in COMMANDS:
            return None
        module, _colon, attribute = COMMANDS[name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return with_options(command)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        from click.shell_completion import CompletionItem

        # The inherited one imports every command.
        names = [CompletionItem(name, help=line) for name, (_where, line) in COMMANDS.items() if name.startswith(incomplete)]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_where, line) in COMMANDS.items()])


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(version(), prog_name="standalone-python")
def group() -> None:
    """Install and upgrade Python from python-build-standalone: on this machine, in images, and for a fleet.

    Exit codes: 0 success; 1 failure, explained in one sentence; 2 something would change, is damaged or was found (plan,
    verify, report); 64 the command line is invalid.
    """


group.params += options()


def main() -> None:
    out = prepare()
    _heed_signals()
    with listening(CONSOLE):
        code = _ended()
    CONSOLE.close()
    # The command is done. A signal from now on would make its exit code wrong.
    for one in (signal.SIGINT, *_HEEDED):
        signal.signal(one, signal.SIG_IGN)
    leave(code, out)


def _ended() -> int:
    """Run the command and return the exit code."""
    try:
        with libraries_explained():
            return group.main(standalone_mode=False) or 0
    except click.UsageError as error:
        with_example(error).show()
        return USAGE
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except (click.Abort, KeyboardInterrupt) as interrupt:
        _explain("ended by Ctrl-C", interrupt.__cause__ or interrupt)
        return SIGNALLED + signal.SIGINT
    except EndedBySignal as ended:
        _explain(f"ended by {signal.Signals(ended.number).name}", ended)
        return SIGNALLED + ended.number
    except (click.ClickException, StandalonePythonError) as error:
        _explain(error.format_message() if isinstance(error, click.ClickException) else str(error), error)
        return FAILED


def _explain(sentence: str, error: BaseException) -> None:
    """Print why a command failed, and what its notes say: that a partial download is kept, or which steps were not done."""
    first, *more = "; ".join([sentence, *getattr(error, "__notes__", ())]).split("\n")
    output.line(f"standalone-python: {first}", err=True)
    for text in more:
        output.line(f"  {text}", err=True)


def _heed_signals() -> None:
    """Let the first signal that would end this process raise :class:`EndedBySignal`; ignored signals (nohup) stay ignored."""

    def end(number: int, _frame: object) -> None:
        for one in _HEEDED:
            # Further signals must not interrupt the cleanup.
            signal.signal(one, lambda _number, _frame: None)
        raise EndedBySignal(number)

    for one in _HEEDED:
        if signal.getsignal(one) is signal.SIG_DFL:
            signal.signal(one, end)
