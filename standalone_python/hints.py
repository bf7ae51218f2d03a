# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user has to do beside a command: become root or choose own folders, and put the folder of the links on the PATH."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence

from ansible_collections.standalone.python.plugins.plugin_utils.core.state.folders import DEFAULT_ROOT
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.observed import Observed
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.step import Plan

OWN_BIN_DIR = "--bin-dir ~/.local/bin"
OWN_FOLDERS = f"--root ~/.local/share/python {OWN_BIN_DIR}"
# Where sudo looks for programs, as a rule.
_SUDO_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PLAIN = re.compile(r"[\w@%+=:,./-]+", re.ASCII)


def permission_hint(observed: Observed, planned: Plan, program: str) -> str:
    """Return what a user does who can't write to the root or to the folder of the links.

    :param program: the path by which this program was started
    """
    from shutil import which

    name = os.path.basename(program)
    command = name if which(name, path=_SUDO_PATH) else os.path.abspath(program)
    if not name.startswith("standalone-python"):
        command = f"{sys.executable} -m standalone_python"
    folder, instead = observed.root, "choose another --root"
    if observed.root_state != "unwritable":
        folder, instead = observed.bin_dir, f"add {OWN_BIN_DIR}"
    elif folder == DEFAULT_ROOT:
        instead = f"add {OWN_FOLDERS}"
    # In other folders there is nothing to upgrade or to remove.
    instead = f", or {instead}" if any(install.action == "install" for install in planned.installs) else ""
    return f"this user can't write to {folder}: run it with 'sudo {command}'{instead}"


def path_hint(bin_dir: str, environment: Mapping[str, str]) -> str:
    """Return how to put a folder on the PATH of the user's shell; empty if it is there."""
    folders = environment.get("PATH", os.defpath).split(os.pathsep)
    if os.path.realpath(bin_dir) in {os.path.realpath(folder) for folder in folders if folder}:
        return ""
    shell = os.path.basename(environment.get("SHELL", ""))
    plain = bool(_PLAIN.fullmatch(bin_dir))
    if shell == "fish":
        how = f"run this once: fish_add_path {bin_dir if plain else _quoted(bin_dir)}"
    else:
        bash = "~/.bash_profile" if sys.platform == "darwin" else "~/.bashrc"
        file = {"bash": bash, "zsh": "~/.zshrc"}.get(shell, "~/.profile")
        value = f'"{bin_dir}:$PATH"' if plain else f'{_quoted(bin_dir)}:"$PATH"'
        how = f"add this line to {file}: export PATH={value}"
    return f"{bin_dir} is not on the PATH; {how}"


def shadow_hint(links: Sequence[str], stable_path: str, environment: Mapping[str, str]) -> str:
    """Return which program comes before a link on the PATH, such as that of a virtual environment; empty if none does."""
    from shutil import which

    for link in links:
        name = os.path.basename(link)
        found = which(name, path=environment.get("PATH", os.defpath))
        if found and os.path.realpath(found) != os.path.realpath(link):
            return f"{name} on the PATH is {found}, which comes before {link}: use {stable_path}, or change the order of the PATH"
    return ""


def _quoted(text: str) -> str:
    from shlex import quote

    return quote(text)
