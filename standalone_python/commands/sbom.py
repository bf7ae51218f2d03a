# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``sbom``: one CycloneDX document of what the interpreters of a machine, an image or a lock file contain."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import click

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents.on_host.disk import source_date
from ansible_collections.standalone.python.plugins.plugin_utils.core.agents.on_host.sbom import completed, serial
from ansible_collections.standalone.python.plugins.plugin_utils.core.agents.sh import TOOL
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import Build
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import sanitized
from ansible_collections.standalone.python.plugins.plugin_utils.core.reporting import write_text
from ansible_collections.standalone.python.plugins.plugin_utils.core.security.sbom import Archive, template, together
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.observed import Installed
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.lock import read_lock

from .. import output
from .machine import WHERE, Where, look

Documents = Iterator[tuple[Mapping[str, Any], Mapping[str, str]]]


@click.command()
@click.argument("lockfile", metavar="[FILE]", required=False)
@WHERE
@click.option("-o", "--output", "path", metavar="FILE", help="Write to this file instead of standard output.")
def sbom(lockfile: str | None, where: Where, path: str | None) -> int:
    """Print one CycloneDX 1.6 document: the installed interpreters, and the libraries that each contains.

    It is about this machine, or about an image with --root-dir. With FILE, a lock file, it is about the locked builds. Versions
    are those that the interpreter reported when it was installed. What it cannot report, and everything in a lock file, comes
    from a table of upstream's releases. Each component says which.

    With SOURCE_DATE_EPOCH the document is the same each time.
    """
    if lockfile and any((where.file, where.root, where.bin_dir, where.root_dir, where.target)):
        raise click.UsageError("FILE is a lock file, which has no place: leave the other options out")
    if lockfile:
        subject = {"type": "data", "name": os.path.basename(lockfile)}
        documents = _of_lock(lockfile)
    else:
        name = where.root_dir or platform.node() or "this machine"
        subject = {"type": "container" if where.root_dir else "device", "name": name}
        documents = _of_machine(where)
    subject = {key: sanitized(value, None) for key, value in subject.items()} | {"bom-ref": "subject"}
    moment = source_date(os.environ)
    now = datetime.now(UTC) if moment is None else datetime.fromtimestamp(moment, UTC)
    text = json.dumps(together(subject, documents, TOOL, now.strftime("%Y-%m-%dT%H:%M:%SZ")), indent=1) + "\n"
    # The document goes to terminals, too; JSON escapes all other control characters.
    text = text.replace("{serial}", serial(text), 1).replace("\x7f", "\\u007f")
    if path:
        write_text(path, text)
    else:
        click.echo(text, nl=False)
    return 0


def _of_lock(path: str) -> Documents:
    builds = {entry.build.name: entry for entry in read_lock(path).builds}
    for entry in builds.values():
        yield _document(entry.build, Archive(entry.url, entry.build.sha256 or ""), {}), {}


def _of_machine(where: Where) -> Documents:
    observed = look(where)
    if not observed.installed:
        output.tell_remarks([f"no interpreter is installed in {observed.root}: the document names none"])
    for installed in observed.installed:
        properties = {
            "path": f"{observed.root}/{installed.name}",
            "installed-at": installed.installed_at,
            "problem": installed.problem,
        }
        yield _of_installed(installed), {key: sanitized(value, None) for key, value in properties.items()}


def _of_installed(installed: Installed) -> Mapping[str, Any]:
    receipt = installed.receipt
    if receipt is None:
        return _document(installed.build, Archive(), {})
    archive = Archive(receipt.url, receipt.build.sha256 or "", receipt.attested)
    return _document(receipt.build, archive, receipt.components)


def _document(build: Build, archive: Archive, measured: Mapping[str, str]) -> Mapping[str, Any]:
    document: Mapping[str, Any] = json.loads(completed(template(build, archive, TOOL), measured))
    return document
