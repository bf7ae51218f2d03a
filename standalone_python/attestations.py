# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options about attestations, which several commands have."""

from __future__ import annotations

import click

from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import OPTIONS

from .words import Choice

ATTESTATIONS = click.option(
    "--attestations",
    type=Choice(OPTIONS["attestations"]["choices"]),
    help="Verify that upstream's workflows made the archives: require them, or warn if an archive has none.  [default: off]",
)
TRUSTED_ROOT = click.option(
    "--trusted-root", metavar="FILE", help="A trusted_root.json of Sigstore.  [default: that of the package sigstore]"
)
