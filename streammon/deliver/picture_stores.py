"""Which place a configuration means for its pictures, and the URLs that they have there."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from streammon.deliver.evidence_config import EvidenceConfig
from streammon.deliver.folder_store import FolderStore
from streammon.deliver.picture_store import PictureStore


def open_store(config: EvidenceConfig) -> PictureStore:
    """The store that `config.store` names. Raises EvidenceError where it cannot be made; no connection is tried."""
    place = _place(config)
    if "://" not in place:
        return FolderStore(Path(place))
    from streammon.deliver.object_store import ObjectStore  # noqa: PLC0415 - a folder needs none of its libraries

    return ObjectStore(place, endpoint=config.endpoint)


def picture_url(config: EvidenceConfig, key: str) -> str:
    """Where a picture will be read: below `public_url`, else in the bucket, or as file:// of this machine."""
    if config.public_url is not None:
        return f"{config.public_url.rstrip('/')}/{quote(key)}"
    place = _place(config)
    return f"{place}/{key}" if "://" in place else (Path(place).absolute() / key).as_uri()


def _place(config: EvidenceConfig) -> str:
    if config.store is None:
        raise ValueError("config.store must be set")
    return config.store
