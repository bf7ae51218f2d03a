# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``ansible-doc`` shows of the module. The action plugin of the same name does the work; no code belongs here."""

from __future__ import annotations

DOCUMENTATION = r"""
module: report
short_description: Report what is wrong with the interpreters of a fleet
version_added: 0.1.0
author:
  - standalone-python contributors (!UNKNOWN)
description:
  - Makes one report from what M(standalone.python.interpreters_info) returned on the hosts of the play, the worst first. For each
    host and line of interpreters, it tells the build in use, its age, the newest known build, the end of security support, open
    advisories, broken builds, and processes on old builds.
  - It runs once, on the controller, whatever the number of hosts. It connects to no host.
  - It finds the results in the variables that C(register) made. A host without one, such as an unreachable host, is in the
    report with the reason.
options:
  format:
    description:
      - The format of the report. V(html) is one file that needs no network. V(prometheus) is for the textfile collector of
        Prometheus' node_exporter. V(cyclonedx) is a CycloneDX 1.6 document of all builds in use, with the advisories that affect
        them.
    type: str
    choices: [html, json, csv, prometheus, cyclonedx]
    default: json
  dest:
    description:
      - The path of the file on the controller. It is replaced in one step.
      - Without it, the report is in RV(content).
    type: path
  fail_on:
    description:
      - The task fails if the report has one of these. V(high) includes critical advisories. The file is written all the same.
    type: list
    elements: str
    choices: [critical, high, eol, outdated, broken, unreachable]
    default: []
attributes:
  check_mode:
    description: In check mode the file is not written.
    support: full
  diff_mode:
    description: A report is not compared with an earlier one.
    support: none
seealso:
  - module: standalone.python.interpreters_info
"""

EXAMPLES = r"""
- name: Look at what is installed
  standalone.python.interpreters_info:
  register: python_found

- name: Write one page about all hosts
  standalone.python.report:
    format: html
    dest: python.html
    fail_on: [critical, eol]
"""

RETURN = r"""
dest:
  description: The path of the file.
  returned: if O(dest) is given
  type: str
  sample: /home/admin/python.html
content:
  description: The report.
  returned: if O(dest) is not given
  type: str
  sample: '{"day": "2026-11-28", "lines": []}'
summary:
  description: What the report comes to.
  returned: success, or a failure because of O(fail_on)
  type: dict
  contains:
    hosts:
      description: The number of hosts.
      type: int
      sample: 20
    unreachable:
      description: The number of hosts that could not be observed.
      type: int
      sample: 1
    lines:
      description: The number of interpreters in use, one for each host and line.
      type: int
      sample: 40
    by_status:
      description: The number of rows of each status, the worst first.
      type: dict
      sample: {"critical": 3, "current": 37}
advisories_day:
  description: The day on which the sources of advisories were read last.
  returned: success, or a failure because of O(fail_on)
  type: str
  sample: "2026-08-21"
"""
