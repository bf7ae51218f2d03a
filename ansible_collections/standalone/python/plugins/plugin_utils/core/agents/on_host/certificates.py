# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a build trust the certificates in a file of the host, by an addition to the end of its ``ssl.py``.

OpenSSL is linked statically and looks in ``/etc/ssl``, a path without room for another one. Every SSLContext of a build goes
through ``ssl.py``, also in virtual environments and with ``-I``, ``-E`` and ``-S``. Upstream patches the same file for RHEL 8.

Sent beside finish.py to hosts that get a build with ``certificates: system``, and to no other; standard library only, Python
3.8 and later.
"""

from __future__ import annotations

BEGIN = "\n\n# Added by standalone-python, as certificates: system was declared.\n"
# What the addition uses of ssl.py. All of it is there since Python 3.6.
NEEDED = (
    "\nimport os\n",
    "import _SSLContext",
    "\nclass SSLContext(_SSLContext):\n",
    "\ndef get_default_verify_paths():\n",
    "openssl_cafile_env openssl_cafile",
)
ADDITION = '''\
_host_certificates = %r
_build_verify_paths = get_default_verify_paths


def get_default_verify_paths():
    """Return paths to default cafile and capath. cafile is the host's own, unless the environment names another."""
    paths = _build_verify_paths()
    if paths.openssl_cafile_env in os.environ or not os.path.isfile(_host_certificates):
        return paths
    return paths._replace(cafile=_host_certificates)


def _set_default_verify_paths(self):
    """Load the certificates that OpenSSL finds by itself, and those that the host trusts."""
    _SSLContext.set_default_verify_paths(self)
    paths = get_default_verify_paths()
    if paths.cafile != _host_certificates:
        return
    if os.path.realpath(paths.openssl_cafile) == os.path.realpath(_host_certificates):
        return  # OpenSSL has just loaded it; loading it twice takes twice the time
    try:
        self.load_verify_locations(cafile=_host_certificates)
    except OSError:
        pass  # as OpenSSL does for its own file


SSLContext.set_default_verify_paths = _set_default_verify_paths
'''


class Unknown(Exception):
    """The text is not that of an ``ssl.py`` of CPython: a sentence."""


def without_addition(text: str) -> str:
    return text.partition(BEGIN)[0]


def with_addition(text: str, file: str) -> str:
    """Return the text of ``ssl.py`` with the addition for `file`, in place of an earlier one.

    :raises Unknown: it lacks what the addition uses
    """
    own = without_addition(text)
    lacking = [part.strip() for part in NEEDED if part not in own]
    if lacking:
        raise Unknown("ssl.py has no line with %s" % lacking[0])
    return own.rstrip("\n") + "\n" + BEGIN + ADDITION % file
