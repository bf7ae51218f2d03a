# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lookup ``standalone.python.build``: the build that a request resolves to on a target."""

from __future__ import annotations

DOCUMENTATION = """
name: build
author: standalone-python contributors (@standalone-python)
version_added: 0.1.0
short_description: Find the python-build-standalone build for a request
description:
  - Finds the newest build of python-build-standalone that satisfies a request on a target.
  - Uses the catalogue of the collection, or that of a mirror. It contacts upstream only for a checksum that the catalogue lacks.
options:
  _terms:
    description:
      - Requests, such as V(3.13), V(3.13.1+20250115) or V(3.13+freethreaded), or mappings, as for
        M(standalone.python.interpreters). A nested list is flattened.
    type: list
    elements: raw
    required: true
  target:
    description: Target triple of the host, such as V(x86_64-unknown-linux-gnu) or V(aarch64-apple-darwin).
    type: str
    required: true
  flavor:
    description: Flavor of the build. By default, the first of these that exists.
    type: str
    choices: [install_only_stripped, install_only, full]
  source:
    description: Where builds come from, as for M(standalone.python.interpreters).
    type: str
    default: upstream
  token:
    description: A bearer token for the server in O(source). It is sent to no other server and is never shown.
    type: str
  catalogue:
    description: The catalogue of builds, as for M(standalone.python.interpreters).
    type: str
    default: bundled
  lockfile:
    description:
      - Path of a lock file, as for M(standalone.python.interpreters). With it, the build is the locked one.
    type: str
seealso:
  - module: standalone.python.interpreters
"""

EXAMPLES = """
- name: Show the build for 3.13 on Alpine
  ansible.builtin.debug:
    msg: "{{ lookup('standalone.python.build', '3.13', target='x86_64-unknown-linux-musl').url }}"
"""

RETURN = """
_raw:
  description: A mapping for each request.
  type: list
  elements: dict
  contains:
    filename:
      description: The archive's name.
      type: str
    url:
      description: URL of the archive; a path if the source is a folder.
      type: str
    sha256:
      description: Its sha256, in hexadecimal digits.
      type: str
    version:
      description: Version of Python.
      type: str
    release:
      description: Release of python-build-standalone, a date.
      type: str
    target:
      description: Target triple of the build.
      type: str
    flavor:
      description: Flavor of the build.
      type: str
"""

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ..plugin_utils import cached_imports  # noqa: F401 # pylint: disable=unused-import
from ..plugin_utils.core.errors import StandalonePythonError
from ..plugin_utils.core.libraries import libraries_explained
from ..plugin_utils.core.state.declaration import is_local
from ..plugin_utils.core.supply.supply import Supply, lookup_build


class LookupModule(LookupBase):
    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[dict[str, str]]:
        self.set_options(var_options=variables, direct=kwargs)
        source, catalogue = (
            self._loader.path_dwim(path) if is_local(path) else path for path in map(self.get_option, ("source", "catalogue"))
        )
        lockfile = self.get_option("lockfile") or ""
        target, flavor = self.get_option("target"), self.get_option("flavor") or ""
        try:
            with libraries_explained():
                supply = Supply.of(
                    source=source,
                    catalogue=catalogue,
                    token=self.get_option("token") or "",
                    lockfile=lockfile and self._loader.path_dwim(lockfile),
                )
                return [lookup_build(supply, term, target, flavor) for term in self._flatten(terms)]
        except StandalonePythonError as error:
            raise AnsibleLookupError(str(error)) from error
