# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation that both modules share: where builds are on a host, and how a host is examined."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  root:
    description:
      - The folder on the host that holds the builds. An absolute path, or one that begins with V(~).
      - On Windows, V(/opt/python) means V(%ProgramData%\\standalone-python), and a path may begin with any such variable.
    type: str
    default: /opt/python
  bin_dir:
    description:
      - The folder on the host for the links to the executables.
      - The default is V(/usr/local/bin) where O(root) is V(/opt/python), and C(bin) in O(root) otherwise and on Windows.
    type: str
  verify:
    description:
      - How thoroughly an installed build is examined.
      - With V(quick), it has a receipt and an executable that starts and reports its version, and its standard library lacks no
        module or package.
      - With V(full), every file also has its recorded sha256. Files that someone added to the standard library are reported.
      - The host keeps what a full check found. With V(quick), damage that it found counts until a repair or the next full check.
    type: str
    choices: [quick, full]
    default: quick
attributes:
  async:
    description: Work on the host is done by the controller's side of the module, which Ansible does not run in the background.
    support: none
  platform:
    description: The systems that a host may run.
    support: full
    platforms: posix, windows
"""
