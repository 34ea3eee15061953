"""What has come so far of a file that is being fetched, kept on disk under the hash it must have in the end."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from streammon.models.catalog import SourceFile

_CHUNK_BYTES = 1 << 20


class PartialFile:
    """Of one thread. All calls raise OSError where the disk fails."""

    def __init__(self, folder: Path, file: SourceFile) -> None:
        self._path = folder / file.sha256
        self._etag = folder / f"{file.sha256}.etag"
        self._stream = self._path.open("ab")
        self.size_bytes = self._stream.tell()
        if self.size_bytes > file.size_bytes:
            self.restart()

    def wanted_headers(self) -> Mapping[str, str]:
        """A request's headers for what is still to come; none where all of it is.

        Without a strong ETag a part of another file may come: the hash tells in the end.
        """
        if self.size_bytes == 0:
            return {}
        headers = {"Range": f"bytes={self.size_bytes}-"}
        return {**headers, "If-Range": self._etag.read_text()} if self._etag.exists() else headers

    def append(self, content: bytes) -> None:
        """Add what came next."""
        self._stream.write(content)
        self.size_bytes += len(content)

    def restart(self, etag: str | None = None) -> None:
        """Drop all of it; the next bytes are the first ones of what the server calls `etag`."""
        self._stream.truncate(0)
        self.size_bytes = 0
        self._etag.unlink(missing_ok=True)
        if etag is not None and etag.startswith('"') and etag.isascii():  # weak ones must not be asked by
            self._etag.write_text(etag)

    def sha256(self) -> str:
        """Of all that is there."""
        self._stream.flush()
        digest = hashlib.sha256()
        with self._path.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                digest.update(chunk)
        return digest.hexdigest()

    def move_to(self, place: Path) -> None:
        """It is whole: it goes to its place, and nothing stays behind."""
        self.close()
        self._path.replace(place)
        self._etag.unlink(missing_ok=True)

    def close(self) -> None:
        """What has come stays. May be called twice."""
        self._stream.close()
        if self.size_bytes == 0:
            self._path.unlink(missing_ok=True)
