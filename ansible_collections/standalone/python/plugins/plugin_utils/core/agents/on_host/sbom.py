# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Completes the list of a build's components, a CycloneDX document, from the controller's template and the measured versions.

Lines of the template with tabs are components; its other lines are copied. Sent beside finish.py; standard library only,
Python 3.8 and later.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def completed(template: str, measured: Mapping[str, str]) -> str:
    """Return the document. It has no time, and its serial number follows from its content: a build has the same on every host.

    :param measured: component to version; the version is empty where it is unknown
    """
    lines = template.rstrip("\n").split("\n")
    rows = [line for line in lines if "\t" in line]
    before = lines[: lines.index(rows[0])]
    after = lines[len(before) + len(rows) :]
    text = "\n".join([*before, ",\n".join(components(rows, measured)), *after, ""])
    return text.replace("{serial}", serial(text), 1)


def serial(text: str) -> str:
    """Return the serial number of a document with this text."""
    import hashlib

    digest = hashlib.sha256(text.encode("utf-8")).hexdigest()
    # RFC 9562: version 8 is of the maker's own design.
    return "urn:uuid:" + "-".join((digest[:8], digest[8:12], "8" + digest[13:16], "8" + digest[17:20], digest[20:32]))


def components(rows: list[str], measured: Mapping[str, str]) -> Iterator[str]:
    """Yield the JSON of each component.

    A row has the name, the name of the component that it excludes, version, source, and JSON: the beginning, and the end for a
    known and for an unknown version. A component without a source is there only if it was measured.
    """
    for row in rows:
        name, alternative, version, source, start, known, unknown = row.split("\t")
        if name in measured:
            version, source = measured[name], "measured"
        elif not source or alternative in measured:
            continue
        yield "  " + (start + (known if version else unknown)).replace("{version}", version).replace("{source}", source)
