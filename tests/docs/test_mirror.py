# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What docs/mirror.md tells people to run, run in its order; only the source and the place are others. What it says of other tools,
tests/cli/test_mirror_peers.py tries; of buckets, tests/cli/test_mirror_bucket.py.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.tools.playbook import REPOSITORY
from tests.tools.s3 import ENVIRONMENT, serve_s3
from tests.tools.sources import V12, V13LATER

PAGE = (REPOSITORY / "docs/mirror.md").read_text()
LAYOUT = re.findall(r"^\| `(\S+)` \|", PAGE.partition("| below `/srv/pbs` |")[2].partition("\n## ")[0], re.MULTILINE)
COMMANDS = re.findall(r"^    (standalone-python .*)$", PAGE, re.MULTILINE)

# The line of attestations is tried in tests/frontends/test_attestations.py.
TRIED = {"docs/mirror.md": COMMANDS}


def test_the_page(source: Path, tmp_path: Path) -> None:
    place = tmp_path / "pbs"
    printed, codes = [], []
    environment = {"PYTHONPATH": str(REPOSITORY), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "NO_PROXY": "*", **ENVIRONMENT}
    with serve_s3() as store:
        store.reset()
        for command in COMMANDS:
            words = command.replace("/srv/pbs", str(place)).replace(" --target aarch64-apple-darwin", "").split()
            words = [store.url if word == "https://s3.example.net" else word for word in words]
            words += ["--source", str(source)] if "sync" in words else []
            program = str(Path(sys.executable).with_name(words[0]))
            done = subprocess.run([program, *words[1:]], capture_output=True, text=True, env=environment)
            assert done.stderr == ""
            printed.append(done.stdout)
            codes.append(done.returncode)
        assert "pbs/20250409/SHA256SUMS" in store.names()
    assert codes == [0, 2, 0, 0, 0, 0, 0, 0]
    assert "1 archives" in printed[4]
    del printed[3:5]
    assert f"cpython-{V12}+" in printed[0]
    assert f"cpython-{V13LATER}+" in printed[0]
    assert f"Would remove 20250115/cpython-{V12}+" in printed[1]
    assert "2 archives" in printed[2]
    assert f'"cpython-{V13LATER}-linux-' in printed[3]
    assert "https://mirror.example/pbs/20250409/" in printed[3]
    assert "single_version_platform_override" in printed[4]
    assert "url_replacements" in printed[5]
    assert len(LAYOUT) == 7
    for path in set(LAYOUT) - {"TAG/FILE.sigstore.jsonl"}:
        assert list(place.glob(path.replace("TAG", "*").replace("TRIPLE", "*").replace("FILE", "cpython-*").rstrip("/")))
