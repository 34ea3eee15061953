"""Decrypts HLS segments (AES-128, RFC 8216 4.3.2.4), and keeps the keys that it fetched."""

from __future__ import annotations

from collections import OrderedDict

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from streammon.errors import SourceNotMedia
from streammon.ingest.hls.playlist_entities import IDENTITY, Key
from streammon.ingest.net.http_client import HttpClient

_KEY_BYTES = 16
_MAX_KEY_BYTES = 1024  # more than a key has, so that it can be said how long a wrong one is
_MAX_KEYS = 16


class Decryptor:
    """One connection's keys. Fetches them through the same client, so under the same address policy."""

    def __init__(self, client: HttpClient, within_s: float) -> None:
        self._client = client
        self._within_s = within_s
        self._keys: OrderedDict[str, bytes] = OrderedDict()

    def decrypt(self, content: bytes, key: Key | None, sequence: int) -> bytes:
        """Content in the clear. Raises SourceNotMedia where that cannot be, such as a stream under DRM.

        `sequence` is the segment's number; 0 for an init section, which has none.
        """
        if key is None:
            return content
        if key.method != "AES-128" or key.key_format != IDENTITY:
            raise SourceNotMedia(f"the stream is encrypted ({key.method}, {key.key_format}): publish it without DRM")
        cipher = Cipher(algorithms.AES128(self._key(key.uri)), modes.CBC(key.iv_for(sequence)))
        decryptor, unpadder = cipher.decryptor(), PKCS7(algorithms.AES128.block_size).unpadder()
        try:
            padded = decryptor.update(content) + decryptor.finalize()
            return unpadder.update(padded) + unpadder.finalize()
        except ValueError as error:
            raise SourceNotMedia("a segment cannot be decrypted with the playlist's key") from error

    def _key(self, uri: str) -> bytes:
        if uri not in self._keys:
            key = self._client.get(uri, max_bytes=_MAX_KEY_BYTES, within_s=self._within_s).body
            if len(key) != _KEY_BYTES:
                raise SourceNotMedia(f"the playlist's key has {len(key)} bytes, not {_KEY_BYTES}")
            self._keys[uri] = key
            if len(self._keys) > _MAX_KEYS:
                self._keys.popitem(last=False)
        return self._keys[uri]
