"""Keeps pictures in a bucket of S3, Google Cloud Storage or Azure, or of what speaks as they do. One thread.

The only importer of obstore.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import from_url

from streammon.deliver.picture_store import Kept
from streammon.errors import EvidenceError

_BATCH = 1000
_TIMEOUT = timedelta(seconds=30)
_CONNECT_TIMEOUT = timedelta(seconds=5)


class ObjectStore:
    """A PictureStore in a bucket, or below a prefix of it.

    Credentials, region and account come from the environment, by the names that the clouds' own tools know, or from
    the machine's role. `endpoint` is the server where it is not the cloud's own. Raises EvidenceError where the
    environment says something that cannot be.
    """

    def __init__(self, url: str, *, endpoint: str | None = None) -> None:
        self._url = url
        options: dict[str, Any] = {} if endpoint is None else {"endpoint": endpoint}
        allow_http = endpoint is not None and endpoint.startswith("http://")
        with self._translated():
            # No retries in here: whoever calls tries again, and can be stopped while it waits.
            self._store = from_url(
                url,
                client_options={
                    "timeout": _TIMEOUT,
                    "connect_timeout": _CONNECT_TIMEOUT,
                    **({"allow_http": True} if allow_http else {}),
                },
                retry_config={"max_retries": 0, "retry_timeout": _TIMEOUT},
                **options,
            )

    def put(self, key: str, jpeg: bytes) -> None:
        """See `PictureStore.put`."""
        with self._translated():
            obstore.put(self._store, key, jpeg, attributes={"Content-Type": "image/jpeg"}, use_multipart=False)

    def delete(self, keys: Sequence[str]) -> None:
        """See `PictureStore.delete`."""
        with self._translated():
            try:
                obstore.delete(self._store, list(keys))
            except FileNotFoundError:  # of one of them, where the cloud says so: the others may not have been tried
                self._delete_each(keys)

    def kept(self, prefix: str) -> Iterator[list[Kept]]:
        """See `PictureStore.kept`."""
        with self._translated():
            for batch in obstore.list(self._store, prefix or None, chunk_size=_BATCH):
                yield [Kept(key=found["path"], written_s=found["last_modified"].timestamp()) for found in batch]

    def _delete_each(self, keys: Sequence[str]) -> None:
        for key in keys:
            try:
                obstore.delete(self._store, key)
            except FileNotFoundError:
                continue

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise EvidenceError(f"evidence {self._url}: there is no such bucket or container: create it") from error
        except (PermissionDeniedError, UnauthenticatedError) as error:
            raise EvidenceError(f"evidence {self._url}: access denied: check credentials and rights") from error
        except (BaseError, ValueError, OSError) as error:
            raise EvidenceError(f"evidence {self._url}: {_told(error)}") from error


def _told(error: Exception) -> str:
    """What the library says for people, without the request's URL (it may be signed) and the answer's body."""
    first, _, _ = str(error).partition("\n")
    return first.rpartition(" - ")[2].partition("<")[0].strip(": ")[:200]
