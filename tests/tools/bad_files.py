# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of declarations that are not valid, each with the error that it gets."""

from __future__ import annotations

NESTED = "builds contains itself or is nested too deeply: write a mapping of options such as builds: ['3.13'] (FILE, line 1)"
BAD_FILES = {
    "a list": ("- hosts: all\n", "FILE is a list, and tasks of a play are not supported: write a mapping of options"),
    "empty": ("", "FILE is empty: write a mapping of options"),
    "a text": ("3.13\n", "FILE is 3.13: write a mapping of options"),
    "no YAML": ("builds: [\n", "FILE can't be read as YAML, line 2 is wrong"),
    "binary": ("\x00\x01", "FILE can't be read as YAML"),
    "two documents": (
        "builds: []\n---\nbuilds: []\n",
        "FILE can't be read as YAML, line 2 is wrong (but found another document)",
    ),
    "Ansible's own": (
        "builds: !vault secret\n",
        "builds has the tag !vault, which only Ansible reads: move it to another file (FILE, line 1)",
    ),
    "a template": (
        "builds:\n- '3.13'\n- version: '{{ minor }}'\n",
        "builds is '{{ minor }}', a template that only Ansible can evaluate: write its result (FILE, line 3)",
    ),
    "a secret template": (
        "builds: []\ntoken: '{{ token }}'\n",
        "token is a template that only Ansible can evaluate: write its result (FILE, line 2)",
    ),
    "a template in an address": (
        "builds: []\nsource: 'http://u:p@h/{{ x }}'\n",
        "source is a template that only Ansible can evaluate: write its result (FILE, line 2)",
    ),
    "another interpreter": ("builds: [pypy3.10]\n", "the request 'pypy3.10' asks for pypy, but there are builds of CPython only"),
    "a list in itself": ("builds: &all [*all]\n", NESTED),
    "a mapping in itself": ("builds: [&one {version: *one}]\n", NESTED),
    "nested deeply": (f"builds: {'[' * 3000}\n", "FILE can't be read as YAML"),
    "many digits": (f"builds: []\nkeep: {'9' * 5000}\n", "FILE can't be read as YAML (Exceeds the limit"),
    "a huge number": (f"builds: []\nkeep: {'9' * 4000}\n", f"keep is {'9' * 100}"),
    "another digit": ("builds: ['3.²']\n", "the request '3.²' can't be read"),
    "an option": ("build: ['3.13']\n", "unknown option `build`: did you mean `builds`? (FILE, line 1)"),
    "a role's variable": (
        "other: 1\ninterpreters_build: ['3.13']\n",
        "unknown option `build`: did you mean `builds`? (FILE, line 2)",
    ),
    "an option that nothing resembles": ("builds: []\nzzz: x\n", "unknown option `zzz`: choose one of builds, state, "),
    "a choice": ("builds: ['3.13']\n\nstate: lates\n", "state is 'lates': did you mean `latest`? (FILE, line 3)"),
    "one of several choices": (
        "builds: []\nlinks:\n- versoned\n",
        "links is 'versoned': did you mean `versioned`? (FILE, line 2)",
    ),
    "an option of a build": (
        "builds:\n- '3.12'\n- version: '3.13'\n  flavour: full\n",
        "unknown option `flavour` of 3.13: did you mean `flavor`? (FILE, line 4)",
    ),
    "an option of a build without a version": (
        "builds:\n- verison: '3.13'\n",
        "unknown option `verison` of a build: did you mean `version`? (FILE, line 2)",
    ),
    "a flavor": (
        "builds:\n- {version: '3.13',\n   flavor: install-only}\n",
        "unknown flavor `install-only` of 3.13: did you mean `install_only`? (FILE, line 3)",
    ),
    "a state": (
        "builds: [{version: '3.13', state: abset}]\n",
        "unknown state `abset` of 3.13: did you mean `absent`? (FILE, line 1)",
    ),
    "a variant": (
        "builds:\n- version: '3.13'\n  variant: freethreded\n",
        "the option variant: 'freethreded' can't be read, 'freethreded' is unknown: did you mean `freethreaded`? (FILE, line 2)",
    ),
    "a part of a request": (
        "builds:\n- 3.13+debg\n",
        "the request '3.13+debg' can't be read, 'debg' is unknown: did you mean `debug`? (FILE, line 2)",
    ),
    "a number": ("builds:\n- '3.13'\n- 3.10\n", "write '3.10' in quotes (FILE, line 3)"),
    "no version": ("builds: [three]\n", "the request 'three' can't be read"),
    "no builds": ("state: latest\n", "builds is missing: give it (FILE)"),
    "a bad root": (
        "builds: ['3.13']\nroot: python\n",
        "root is 'python': give an absolute path below /, or one that begins with ~/ (FILE, line 2)",
    ),
    "a root in its links": (
        "builds: []\nroot: /x/python3\nbin_dir: /x\n",
        "root is /x/python3, where a link in bin_dir /x belongs: choose another root or bin_dir (FILE, line 2)",
    ),
    "a negative number": (
        "builds: []\nkeep: -1\n",
        "keep is -1: give the number of replaced builds that stay, 0 or more (FILE, line 2)",
    ),
    "a key twice": (
        "builds: []\nstate: latest\nbuilds: ['3.13']\n",
        "the key `builds` is given twice: keep one of them (FILE, lines 1 and 3)",
    ),
    "a key of a build twice": (
        "builds:\n- {version: '3.13', version: '3.12'}\n",
        "the key `version` is given twice: keep one of them (FILE, line 2)",
    ),
    "a merged option": (
        "base: &base\n  verify: ful\nbuilds: []\n<<: *base\n",
        "unknown option `base`: choose one of builds, state",
    ),
}
