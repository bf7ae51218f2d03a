# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``certificates: system`` on hosts of several kinds, each with its certificates where another system keeps them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.frontends.support import INFO, line, task
from tests.tools import tls
from tests.tools.hosts import Host
from tests.tools.playbook import run_play

pytestmark = pytest.mark.xdist_group("hosts")

SERVER = "/server.pem"
# Kind of host -> path of its file, and where that path leads if it is a link. A musl host can't run a stand-in build.
FILES = {
    "debian": ("/etc/ssl/certs/ca-certificates.crt", ""),
    "debianzst": ("/etc/pki/tls/certs/ca-bundle.crt", "/etc/pki/extracted.pem"),
    "busybox": ("/etc/ssl/ca-bundle.pem", "../../var/ca-bundle.pem"),
    "macish": ("/etc/ssl/cert.pem", ""),
}


@contextmanager
def trusting(host: Host, made: tls.Authority, file: str, to: str) -> Iterator[None]:
    """The host trusts the authority, and has the server's certificate; afterwards it is as it was."""
    link = f'ln -s "{to}" "{file}" && ' if to else ""
    folder, target = file.rpartition("/")[0], to if to.startswith("/") else f"/{to.strip('./')}" if to else file
    folders = f'mkdir -p "{folder}" "{target.rpartition("/")[0]}"'
    try:
        done = host.exec(["sh", "-c", f'{folders} && cat >"{target}" && {link}:'], stdin=made.certificate)
        assert done.returncode == 0, done
        assert host.exec(["sh", "-c", f"umask 077; cat >{SERVER}"], stdin=made.server).returncode == 0
        yield
    finally:
        host.exec(["sh", "-c", f'rm -f "{file}" "{target}" {SERVER}; rmdir -p "{folder}"'])


def test_each_host_trusts_its_own_authorities(fleet: Mapping[str, Host], source: Path, tmp_path: Path) -> None:
    """A server with a certificate of the host's authority is trusted, without any variable. The second task finds nothing to do."""
    root, made = str(tmp_path / "root"), tls.authority()
    declared = {"builds": ["3.13"], "source": str(source), "root": root, "certificates": "system"}
    with ExitStack() as stack:
        for kind, (file, to) in FILES.items():
            stack.enter_context(trusting(fleet[kind], made, file, to))
        run = run_play([task(**declared), task(**declared), {INFO: {"root": root}}], "".join(line(fleet[kind]) for kind in FILES))
        for kind, (file, _to) in FILES.items():
            host = fleet[kind]
            first, again, info = (result.result for result in run.results if result.host == host.name)
            assert (first.get("changed"), again.get("changed")) == (True, False), run.output
            (build,) = info["interpreters"]
            assert (build["certificates"], build["sound"]) == (file, True)
            tried = host.ssh(f"{root}/bin/python3.13 -I -B -c '{tls.PROBE}' {SERVER}")
            assert tried.stdout.splitlines() == ["trusted", file], tried
