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
  - The host needs a POSIX shell, or PowerShell 5.1 or later on Windows. It needs no Python.
extends_documentation_fragment:
  - standalone.python.host
attributes:
  check_mode:
    description: Observes in check mode as it does otherwise.
    support: full
  diff_mode:
    description: There is nothing to compare, because nothing is changed.
    support: N/A
seealso:
  - module: standalone.python.interpreters
"""

EXAMPLES = r"""
- name: Look at what is installed, and examine every file
  standalone.python.interpreters_info:
    verify: full
  register: found

- name: Look at what runs, and restart the services that still run an older build
  standalone.python.interpreters_info:
  register: running

- name: Restart them
  ansible.builtin.systemd_service:
    name: "{{ item }}"
    state: restarted
  loop: "{{ running.outdated_units }}"

- name: Stop where an interpreter is broken
  ansible.builtin.assert:
    that: item.sound
    fail_msg: "{{ item.path }}: {{ item.problem }}"
  loop: "{{ found.interpreters }}"
  loop_control:
    label: "{{ item.path }}"
"""

RETURN = r"""
interpreters:
  description: The builds that are installed under O(root), whether they are sound or not.
  returned: success
  type: list
  elements: dict
  contains:
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
    variant:
      description: The variant of the build, such as V(freethreaded) or V(debug). Empty for the plain optimised build.
      type: str
      sample: ""
    flavor:
      description: The flavor of the build.
      type: str
      sample: install_only_stripped
    path:
      description: The executable of the build.
      type: str
      sample: /opt/python/cpython-3.13.1+20250115-x86_64-unknown-linux-gnu-install_only_stripped/bin/python3
    stable_path:
      description:
        - The same executable through the link that stays the same over upgrades.
        - It is the same as RV(interpreters[].path) where no such link leads to the build.
      type: str
      sample: /opt/python/cpython-3.13/bin/python3
    prefix:
      description: The folder of the build.
      type: str
      sample: /opt/python/cpython-3.13.1+20250115-x86_64-unknown-linux-gnu-install_only_stripped
    installed_at:
      description: When the build was installed. Empty where its receipt can't be read.
      type: str
      sample: "2025-01-20T09:30:00Z"
    checked_at:
      description:
        - When every file of the build was last compared with what was installed, in UTC. Empty where the host has no record of it.
        - C(standalone-python verify) and M(standalone.python.interpreters) with C(verify=full) write that record; this module does not.
      type: str
      sample: "2025-01-27T04:00:00Z"
    certificates:
      description: The host's file of certificates that the build trusts, with C(certificates=system); else empty.
      type: str
      sample: /etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem
    user_packages:
      description: How many packages users installed into the build. Always 0 where it is externally managed.
      type: int
      sample: 0
    started:
      description:
        - Whether the build was started where it was installed. It was not where C(standalone-python) put it into the image of
          another machine; M(standalone.python.interpreters) completes that on the machine itself.
      type: bool
      sample: true
    untrusted:
      description:
        - Why the build was not started. Another user than root and the task's user can change its interpreter or a folder above
          it. The text says who can change what, and what to do. Empty where the build was started.
      type: str
      sample: ""
    sound:
      description: Whether nothing is wrong with the build. A build for another kind of host is not judged.
      type: bool
      sample: true
    problem:
      description: What is wrong with the build. Empty where it is sound.
      type: str
      sample: ""
    foreign:
      description:
        - Why a build for another kind of host can't run here, such as C(needs a CPU of level v3, and the host's has v1).
        - Empty for builds that can. M(standalone.python.interpreters) leaves such a build alone.
      type: str
      sample: ""
    extra:
      description: Files that someone added to the standard library, where O(verify=full).
      type: list
      elements: str
      sample: []
    default_links:
      description: The links C(python3) and C(python) that lead to the build.
      type: list
      elements: str
      sample: [/usr/local/bin/python3, /usr/local/bin/python]
    newest_known:
      description:
        - The newest build that the controller's catalogue knows of the same minor version, variant and target, perhaps this one. No server is
          asked. Null where it knows none.
      type: str
      sample: 3.13.9+20251014
    components:
      description:
        - The versions of the libraries in the build, as its interpreter reported them when it was installed. The version is empty
          where the interpreter does not know it.
        - Empty for builds that were installed before such versions were recorded.
      type: dict
      sample: {openssl: 3.5.3, sqlite: 3.50.4}
    advisories:
      description:
        - How many open advisories the build has, by severity, from V(critical) to V(low) and V(unrated). Severities without any are
          left out.
        - Null where nothing is known about the build. An empty mapping means that no table has an advisory, not that there is none.
      type: dict
      sample: {critical: 1, high: 9, moderate: 4}
    end_of_life:
      description: The day on which security support of the minor version ends. Null where it is unknown.
      type: str
      sample: "2029-10-31"
target:
  description: What the host is.
  returned: success
  type: dict
  contains:
    os:
      description: The operating system, V(linux), V(darwin) or V(windows).
      type: str
      sample: linux
    arch:
      description: The architecture of the programs that the host runs.
      type: str
      sample: x86_64
    libc:
      description: The C library, V(gnu), V(gnueabihf), V(gnueabi) or V(musl). Empty on macOS and Windows.
      type: str
      sample: gnu
    libc_version:
      description: The version of the C library as two numbers. Null where it is not known.
      type: list
      elements: int
      sample: [2, 36]
    level:
      description: The x86-64 level of the CPU, 1 to 4. On other architectures 1.
      type: int
      sample: 3
    triple:
      description: The target triple of the builds that run on every CPU of this architecture.
      type: str
      sample: x86_64-unknown-linux-gnu
tools:
  description: Programs on the host that the module may use.
  returned: success
  type: list
  elements: str
  sample: [curl, gzip, sha256sum, tar, zstd]
processes:
  description:
    - The processes on the host that run from a build below O(root), also from one that was removed. Those that run from another
      build than the one in use in its line come first. At most 500.
    - A process counts if its executable or a library that it has loaded is in the build.
    - Null on Windows.
  returned: success
  type: list
  elements: dict
  contains:
    pid:
      description: The number of the process.
      type: int
      sample: 4711
    user:
      description: Its user by name, or by number if there is no name. Empty if it is not known.
      type: str
      sample: app
    command:
      description: The name of its program, without arguments.
      type: str
      sample: python3.13
    unit:
      description: The service of systemd that it belongs to, by its cgroup. Null for other processes.
      type: str
      sample: app.service
    build:
      description: The name of the build.
      type: str
      sample: cpython-3.13.0+20241016-x86_64-unknown-linux-gnu-install_only_stripped
    current:
      description: Whether that build is the one in use in its line, and its files were not replaced since the process started.
      type: bool
      sample: false
processes_complete:
  description: Whether the task's user can see every process of the host. Null where RV(processes) is.
  returned: success
  type: bool
  sample: true
outdated_units:
  description:
    - The services of systemd that run from a build that is not in use any more. Restart them to let them run the new one.
    - Null where RV(processes) is.
  returned: success
  type: list
  elements: str
  sample: [app.service]
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
