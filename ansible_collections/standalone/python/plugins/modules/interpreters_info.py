# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``ansible-doc`` shows of the module. The action plugin of the same name does the work; no code belongs here."""

from __future__ import annotations

DOCUMENTATION = r"""
module: interpreters_info
short_description: Observe the python-build-standalone interpreters of a host
version_added: 0.1.0
author:
  - standalone-python contributors (!UNKNOWN)
description:
  - Tells which interpreters M(standalone.python.interpreters) has installed on a host, whether they are sound, and what the host
    is. It changes nothing.
  - The host needs a POSIX shell. It needs no Python.
options:
  root:
    description:
      - The folder on the host that holds the builds. An absolute path, or one that begins with V(~).
    type: str
    default: /opt/python
  bin_dir:
    description:
      - The folder on the host with the links to the executables.
      - The default is V(/usr/local/bin) where O(root) is V(/opt/python), and C(bin) in O(root) otherwise.
    type: str
  verify:
    description:
      - How thoroughly an installed build is examined.
      - With V(quick), it has a receipt and an executable that starts and reports its version.
      - With V(full), every file also has its recorded sha256. Files that someone added to the standard library are reported.
    type: str
    choices: [quick, full]
    default: quick
attributes:
  check_mode:
    description: Observes in check mode as it does otherwise.
    support: full
  diff_mode:
    description: There is nothing to compare, because nothing is changed.
    support: N/A
  platform:
    description: The systems that a host may run.
    support: full
    platforms: posix
seealso:
  - module: standalone.python.interpreters
"""

EXAMPLES = r"""
- name: Look at what is installed
  standalone.python.interpreters_info:
  register: found

- name: Stop where an interpreter is broken
  ansible.builtin.assert:
    that: item.health == 'sound'
    fail_msg: "{{ item.name }} is {{ item.health }}"
  loop: "{{ found.interpreters }}"
  loop_control:
    label: "{{ item.name }}"
"""

RETURN = r"""
interpreters:
  description: The builds that are installed under O(root), whether they are sound or not.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name of the build, which is that of its folder.
      type: str
      sample: cpython-3.13.1+20250115-x86_64-unknown-linux-gnu-install_only_stripped
    version:
      description: The version of the build.
      type: str
      sample: 3.13.1
    release:
      description: The release of the build.
      type: str
      sample: "20250115"
    target:
      description: The target triple of the build.
      type: str
      sample: x86_64-unknown-linux-gnu
    path:
      description: The folder of the build.
      type: str
      sample: /opt/python/cpython-3.13.1+20250115-x86_64-unknown-linux-gnu-install_only_stripped
    health:
      description: V(sound), or what is wrong with the build.
      type: str
      sample: sound
target:
  description: What the host is.
  returned: success
  type: dict
  contains:
    os:
      description: The operating system, V(linux) or V(darwin).
      type: str
      sample: linux
    arch:
      description: The architecture of the programs that the host runs.
      type: str
      sample: x86_64
    libc:
      description: The C library, V(gnu), V(gnueabihf), V(gnueabi) or V(musl). Empty on macOS.
      type: str
      sample: gnu
    libc_version:
      description: The version of the C library, where it is known.
      type: str
      sample: "2.36"
    triple:
      description: The target triple of the builds that fit every CPU of this architecture.
      type: str
      sample: x86_64-unknown-linux-gnu
root:
  description: The folder that holds the builds, in full.
  returned: success
  type: str
  sample: /opt/python
bin_dir:
  description: The folder of the links, in full.
  returned: success
  type: str
  sample: /usr/local/bin
"""
