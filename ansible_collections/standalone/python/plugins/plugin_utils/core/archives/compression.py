# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The compressions of archives and payloads: magic numbers and settings."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

from ..builds.catalogue import Compression
from ..libraries import missing_libraries

MAGIC: Mapping[Compression, bytes] = {"gz": b"\x1f\x8b", "zst": b"\x28\xb5\x2f\xfd"}

# Measured on an install_only archive of 29 MB (96 MB unpacked, 3,260 files), two cores. Time against level 6:
# level 3 0.5, 7 1.2, 8 1.5, 9 1.9, 12 4.7, 15 14. Size against the .tar.gz: level 3 0.99, 6 0.92, 8 0.91,
# 9 0.90, 12 0.89, 15 0.88. Memory: jobs of 2 MiB on two threads hold 21 MB, the jobs that zstd would choose
# 61 MB, and at level 9 122 MB.
ZSTD_LEVEL = 6
ZSTD_JOB = 2 << 20
ZSTD_THREADS = 2
# Against level 6, level 4 takes 0.5 of the time and makes 1.04 of the size.
GZIP_LEVEL = 4


def compressor(compression: Compression) -> Any:
    if compression == "gz":
        return zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    zstandard = require_zstandard()
    parameters = zstandard.ZstdCompressionParameters.from_level(
        ZSTD_LEVEL, threads=ZSTD_THREADS, job_size=ZSTD_JOB, write_content_size=0, write_checksum=1
    )
    return zstandard.ZstdCompressor(compression_params=parameters).compressobj()


def require_zstandard() -> Any:
    """Import and return the package that reads and writes zstd.

    :raises TransportError: it is not installed
    """
    try:
        import zstandard
    except ImportError:
        raise missing_libraries("request a flavor that comes as .tar.gz") from None
    return zstandard
