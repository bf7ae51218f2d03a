# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``standalone-python script``: a declaration and a lock file in, one script for hosts without a controller out."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents.script import Archives, Origin, short_script
from ansible_collections.standalone.python.plugins.plugin_utils.core.agents.sh import TOOL
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.cache import atomic_write, os_reason
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import Build
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.target import parse_triple
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import TransportError
from ansible_collections.standalone.python.plugins.plugin_utils.core.mirrors.mirror import path_of
from ansible_collections.standalone.python.plugins.plugin_utils.core.mirrors.storage import Folder
from ansible_collections.standalone.python.plugins.plugin_utils.core.mirrors.sync import sync
from ansible_collections.standalone.python.plugins.plugin_utils.core.script import builds_of, kinds_of, make
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import declare
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.supply import Supply

from .. import output


@click.command()
@click.argument("file")
@click.option("--key", metavar="KEY", default="", help="The key in FILE that holds the declaration, if it isn't all of FILE.")
@click.option("--lockfile", metavar="LOCKFILE", help="The lock file, written by `lock`.  [default: FILE's lockfile]")
@click.option("--target", "targets", multiple=True, metavar="TRIPLE", help="A kind of host, such as x86_64-unknown-linux-gnu.")
@click.option("--source", metavar="SRC", help="Where hosts download the archives from: upstream, or a mirror's URL.")
@click.option("--archives", metavar="DIR", help="Copy the archives to DIR, which the script expects at the same place beside it.")
@click.option("--self-extracting", is_flag=True, help="Put the archive into the script, which is then for one target.")
@click.option(
    "--published-at",
    metavar="URL",
    help="Also write a short script, SCRIPT with -short in its name, that downloads SCRIPT from URL: for user-data of 16 kB.",
)
@click.option("-o", "--output", "path", metavar="SCRIPT", required=True, help="The script to write, such as install-python.sh.")
def script(
    file: str,
    key: str,
    lockfile: str | None,
    targets: tuple[str, ...],
    source: str | None,
    archives: str | None,
    self_extracting: bool,
    published_at: str | None,
    path: str,
) -> None:
    """Write one script that installs what FILE declares, on hosts that no controller reaches.

    A host needs a POSIX shell, tar, and curl or wget to run it: `sh install-python.sh`. On a host in order it changes nothing.
    It contains the sha256 of every archive, so a source that nobody protects is safe.

    \b
    standalone-python script python.yml --lockfile python.lock.json --target x86_64-unknown-linux-gnu -o install-python.sh
    """
    if archives and self_extracting:
        raise click.UsageError("--archives and --self-extracting are two places for the archives: choose one.")
    if published_at is not None and (path.endswith(".ps1") or "@" in published_at.partition("://")[2].partition("/")[0]):
        raise click.UsageError("--published-at is a URL without a password, for a shell script.")
    from ..declarations import read, with_source

    given = with_source(read(file, key), source) | ({"lockfile": lockfile} if lockfile else {})
    options = given if archives or self_extracting else given | {"delivery": "pull"}
    windows = any(parse_triple(target).os == "windows" for target in targets)
    desired = replace(declare(options, windows=windows), delivery="pull")
    words = ["standalone-python", "script", file, *(["--key", key] if key else [])]
    words += ["--lockfile", desired.lockfile, *(word for target in targets for word in ("--target", target))]
    words += [*(["--source", source] if source else []), *(["--archives", archives] if archives else [])]
    words += [*(["--self-extracting"] if self_extracting else []), *(["--published-at", published_at] if published_at else [])]
    words += ["--output", path]
    origin = Origin(TOOL, shlex.join(words), desired.lockfile, _sha256(desired.lockfile) if desired.lockfile else "")
    supply = Supply(desired)
    kinds = kinds_of(desired, supply, targets)
    beside = os.path.relpath(archives, os.path.dirname(path) or ".") if archives else ""
    places = Archives(beside, self_extracting) if archives or self_extracting else None
    text = make(desired, supply, kinds, origin, places)
    # Windows PowerShell 5.1 reads a file without this mark in the code page of the machine.
    content = text.encode("utf-8-sig" if windows else "utf-8")
    size = _write(path, content, supply, builds_of(kinds), archives or "", embedded=self_extracting)
    output.tell_remarks(supply.remarks)
    output.line(f"{path}: {size} bytes, for {', '.join(targets)}")
    if published_at:
        stem, ending = os.path.splitext(path)
        short = short_script(published_at, Path(path).read_bytes(), origin).encode()
        _write(f"{stem}-short{ending}", short, supply, (), "", embedded=False)
        output.line(f"{stem}-short{ending}: {len(short)} bytes, runs {published_at}")


def _sha256(path: str) -> str:
    try:
        return hashlib.sha256(Path(os.path.expanduser(path)).read_bytes()).hexdigest()
    except OSError:
        return ""  # reading it as a lock file gives the reason


def _write(path: str, content: bytes, supply: Supply, builds: Sequence[Build], archives: str, *, embedded: bool) -> int:
    """Write the script, and the archives where they belong; return the size of the script.

    :raises TransportError: it can't be written; an older script is unchanged
    """
    try:
        with ExitStack() as stack:
            # A folder of archives has a mirror's layout: a mirror can take its place.
            folder = archives or (stack.enter_context(TemporaryDirectory()) if embedded else "")
            if folder:
                sync(Folder(Path(folder)), builds, supply.source, prune=False)
            with atomic_write(Path(path)) as file:
                file.write(content)
                if embedded:
                    with Path(folder, path_of(builds[0])).open("rb") as archive:
                        shutil.copyfileobj(archive, file)
            Path(path).chmod(0o755)
            return Path(path).stat().st_size
    except OSError as error:
        raise TransportError(f"the script {path} can't be written ({os_reason(error)}): check its folder and its disk") from None
