# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever logs in and becomes whomever, over whatever connection: the same interpreter, which its users can run."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.frontends.support import (
    AS_IT_WAS,
    LATER13,
    MODULE,
    as_it_was,
    complaint,
    differences,
    line,
    name,
    play,
    python_says,
    reads,
    snapshot,
    task,
)
from tests.tools.community import community_general
from tests.tools.hosts import Host, unavailable
from tests.tools.hosts.bases import bases
from tests.tools.hosts.fixtures import FreshHost
from tests.tools.playbook import REPOSITORY, Run, run_play

pytestmark = pytest.mark.xdist_group("hosts")

BUILD = name(LATER13)
PREFIX = "import ssl, sys; print(sys.prefix)"
USERS = {0: "root", 1000: "deploy", 1001: "plain"}


@dataclass(frozen=True, slots=True)
class Way:
    """How the module gets to a host, and what that comes to.

    :ivar first: what is done to the host beforehand, by its own shell
    :ivar keywords: of the task, such as become
    :ivar variables: of the host in the inventory
    :ivar runs: who can run the interpreter
    """

    kind: str
    user: str
    owner: str
    root: str = "/opt/python"
    bin_dir: str = ""
    runs: tuple[str, ...] = ("root", "deploy", "plain")
    first: tuple[str, ...] = ()
    keywords: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    file_transfer: bool = True

    @property
    def links(self) -> str:
        return self.bin_dir or ("/usr/local/bin" if self.root == "/opt/python" else f"{self.root}/bin")


UMASK_077 = (
    "rm /bin/sh",
    r"printf '#!/bin/dash\numask 077\nexec /bin/dash \"$@\"\n' >/bin/sh",
    "chmod 755 /bin/sh",
)
SU_PLAIN = {"become": True, "become_method": "ansible.builtin.su", "become_user": "plain"}
HOME = {"root": "~/python", "bin_dir": "~/.local/bin"}

WAYS: Mapping[str, Way] = {
    "root": Way("busybox", "root", "root"),
    "root with umask 077": Way("debian", "root", "root", first=UMASK_077),
    "deploy with sudo": Way("debian", "deploy", "root", keywords={"become": True}),
    "deploy with sudo and umask 077": Way("debian", "deploy", "root", first=UMASK_077, keywords={"become": True}),
    "deploy without sudo": Way("macish", "deploy", "deploy", **HOME, runs=("root", "deploy")),
    "root becomes plain by su": Way("busybox", "root", "plain", **HOME, runs=("root", "plain"), keywords=SU_PLAIN),
    "root becomes plain by sudo": Way(
        "debian", "root", "plain", **HOME, runs=("root", "plain"), keywords={"become": True, "become_user": "plain"}
    ),
    "deploy becomes plain by sudo": Way(
        "debian",
        "deploy",
        "plain",
        **HOME,
        runs=("root", "plain"),
        keywords={"become": True, "become_user": "plain"},
        # Without setfacl on the host, this is how Ansible lets one unprivileged user read another's files.
        variables={"ansible_shell_allow_world_readable_temp": "true"},
    ),
    "noexec /tmp": Way("busybox", "root", "root", first=("mount -t tmpfs -o noexec,nosuid,nodev tmpfs /tmp",)),
    "noexec home": Way(
        "macish", "deploy", "deploy", root="/srv/python", runs=("root", "deploy", "plain"),
        first=("mount -t tmpfs -o noexec,mode=700,uid=1000,gid=1000 tmpfs /home/deploy", "install -d -o deploy /srv"),
    ),
    "piped": Way("debian", "root", "root", variables={"ansible_ssh_transfer_method": "piped"}, file_transfer=False),
    "smart without sftp and scp": Way(
        "busybox", "root", "root", variables={"ansible_ssh_transfer_method": "smart"}, file_transfer=False
    ),
}
