# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A boto3 client for one prefix of a bucket, with boto3's errors as sentences."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from ..archives.source import without_credentials
from ..errors import DeclarationError, TransportError
from ..progress import DECISIONS, trace

SCHEME = "s3://"
CONNECTIONS = 64

ABSENT = frozenset({"NoSuchKey", "404", "NotFound"})
_EXPLANATIONS = {
    "NoSuchBucket": ("the bucket does not exist", "create it, or choose another"),
    "AccessDenied": ("access is denied", "check what the credentials may do there"),
    "403": ("access is denied", "check what the credentials may do there"),
    "InvalidAccessKeyId": ("the access key is unknown to the store", "check the credentials"),
    "SignatureDoesNotMatch": ("the store rejects the secret key", "check the credentials"),
    "ExpiredToken": ("the credentials have expired", "renew them"),
}


class Client:
    """
    :ivar prefix: without slashes around it; may be empty
    :ivar s3: boto3's client
    """

    def __init__(self, bucket: str, prefix: str = "", endpoint_url: str = "") -> None:
        self.bucket = bucket
        self.prefix = prefix
        # Made here, so that wrong settings fail before anything else happens.
        self.s3 = self._connect(endpoint_url)

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}" + (f"/{self.prefix}" if self.prefix else "")

    def _connect(self, endpoint_url: str) -> Any:
        try:
            import boto3
            from botocore.config import Config
        except ImportError:
            raise TransportError(
                f"the mirror {self} needs the Python package boto3, which is not installed: pip install 'standalone-python[s3]'"
            ) from None
        from botocore.exceptions import BotoCoreError

        settings = Config(
            # Many stores other than Amazon's refuse the newer checksums. Each put has a ContentMD5 instead.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            max_pool_connections=CONNECTIONS,
            user_agent_extra="standalone-python",
        )
        try:
            session = boto3.Session()
            region = session.region_name or "us-east-1"
            return session.client("s3", endpoint_url=endpoint_url or None, region_name=region, config=settings)
        except ValueError:
            raise DeclarationError("the endpoint is not a valid URL: use http://HOST or https://HOST") from None
        except BotoCoreError as error:
            raise self._error("be used", error) from None

    def call(self, name: str, path: str, **arguments: Any) -> Any:
        """Call a method of boto3 for one object."""
        trace(DECISIONS, f"{name} {self}/{path}")
        return getattr(self.s3, name)(Bucket=self.bucket, Key=self.key(path), **arguments)

    def pages(self) -> Any:
        """Return the pages of a list of all objects."""
        trace(DECISIONS, f"list_objects_v2 {self}")
        return self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.key(""))

    def key(self, path: str) -> str:
        return f"{self.prefix}/{path}" if self.prefix else path

    @contextlib.contextmanager
    def sentence(self, what: str, path: str = "") -> Iterator[None]:
        """
        :param what: the end of the sentence "the mirror can't ...", such as ``be read``
        :param path: of an object that may be missing
        :raises FileNotFoundError: the object does not exist
        :raises TransportError: any other error of the store
        """
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            if path and code_of(error) in ABSENT:
                raise FileNotFoundError(f"{self}/{path}") from None
            raise self._error(what, error) from None
        except BotoCoreError as error:
            raise self._error(what, error) from None

    def _error(self, what: str, error: Exception) -> TransportError:
        """Return an error without the exception's text, which can contain a URL with a password."""
        from botocore import exceptions as known

        endpoint = without_credentials(self.s3.meta.endpoint_url) if "s3" in self.__dict__ else "the store"
        if isinstance(error, known.ClientError):
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", "")
            answer = (f"{endpoint} answered {status} {code_of(error)}", "try again later")
            reason, do = _EXPLANATIONS.get(code_of(error), answer)
        elif isinstance(error, (known.NoCredentialsError, known.PartialCredentialsError)):
            reason, do = "no credentials were found", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        elif isinstance(error, (known.HTTPClientError, known.ConnectionError)):
            reason = f"{endpoint} could not be reached"
            do = "check the network and the endpoint (--endpoint-url, AWS_ENDPOINT_URL)"
        else:
            reason, do = f"{type(error).__name__} of boto3", "check its settings, such as AWS_PROFILE, and the bucket's name"
        return TransportError(f"the mirror {self} can't {what} ({reason}): {do}")


def code_of(error: Any) -> str:
    code: str = error.response.get("Error", {}).get("Code", "")
    return code
