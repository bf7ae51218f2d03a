# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An object store that speaks S3 on the loopback interface: moto's server, which keeps objects, their metadata, conditions, checksums,
policies and credentials as Amazon's does. What is before it tells what was asked, and can be a worse store.
"""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.request import Request, urlopen

BUCKET = "builds"
KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "a-secret-that-nobody-may-see"
ENVIRONMENT = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_EC2_METADATA_DISABLED": "true"}

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


@dataclass
class Store:
    """
    :ivar asked: method and path of each request
    :ivar conditions: whether it knows If-Match and If-None-Match, as older stores don't
    :ivar broken: how many times it answers 503 before it does what it is asked
    :ivar forgetful: how many times it does what it is asked and answers 503 all the same
    :ivar damaging: whether it alters what it is sent
    """

    url: str
    asked: list[tuple[str, str]] = field(default_factory=list)
    conditions: bool = True
    broken: int = 0
    damaging: bool = False
    forgetful: int = 0

    def count(self, method: str, end: str = ".tar.gz") -> int:
        return sum(asked == method and path.endswith(end) for asked, path in self.asked)

    @property
    def client(self) -> Any:
        import boto3

        return boto3.client(
            "s3", endpoint_url=self.url, aws_access_key_id=KEY, aws_secret_access_key=SECRET, region_name="us-east-1"
        )

    def names(self) -> set[str]:
        """Of all objects."""
        return {entry["Key"] for entry in self.client.list_objects_v2(Bucket=BUCKET).get("Contents", ())}

    def content(self, key: str) -> bytes:
        content: bytes = self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return content

    def publish(self) -> None:
        """Let everybody read, as a bucket that is served does."""
        statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/*"}
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        self.client.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy))

    def reset(self) -> None:
        """As on the first day, with an empty bucket."""
        self.check_credentials("inf")
        urlopen(Request(f"{self.url}/moto-api/reset", b"", method="POST"), timeout=30).close()  # noqa: S310
        self.conditions, self.broken, self.damaging, self.forgetful = True, 0, False, 0
        self.client.create_bucket(Bucket=BUCKET)
        self.asked.clear()

    def check_credentials(self, after: str = "0") -> None:
        """From now on it knows nobody; or after so many requests."""
        header = {"Content-Type": "text/plain"}
        urlopen(Request(f"{self.url}/moto-api/reset-auth", after.encode(), header, method="POST"), timeout=30).close()  # noqa: S310


@contextmanager
def serve_s3() -> Iterator[Store]:
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    behind: Application = DomainDispatcherApplication(create_backend_app)
    store = Store("")

    def application(environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
        store.asked.append((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
        if store.broken > 0:
            store.broken -= 1
            start("503 Slow Down", [("Content-Length", "0")])
            return [b""]
        if not store.conditions:
            environ.pop("HTTP_IF_MATCH", None)
            environ.pop("HTTP_IF_NONE_MATCH", None)
        if store.damaging and environ["REQUEST_METHOD"] == "PUT":
            body = bytearray(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
            body[len(body) // 2] ^= 1
            environ["wsgi.input"] = io.BytesIO(bytes(body))
        if store.forgetful > 0:
            store.forgetful -= 1
            list(behind(environ, lambda *_answer: None))
            start("503 Slow Down", [("Content-Length", "0")])
            return [b""]
        return behind(environ, start)

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, application, threaded=True)
    store.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield store
    finally:
        server.shutdown()
