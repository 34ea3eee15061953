"""What tests of evidence in a store share: the spool, what uploads it, and what lies there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from streammon.backoff import Backoff
from streammon.deliver.evidence_config import EvidenceConfig
from streammon.deliver.evidence_store import EvidenceStore
from streammon.deliver.outbox import Outbox
from streammon.deliver.picture_store import PictureStore
from tests.unit.evidence_making import MONITOR, NOW_S

FLUSH_S = 30.0


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    opened = Outbox(tmp_path / "spool.sqlite")
    opened.register_sinks(["memory"])
    yield opened
    opened.close()


def store_config(options: dict[str, object]) -> EvidenceConfig:
    return EvidenceConfig.model_validate({"annotated": False, **options})


def keys(store: PictureStore, prefix: str = "") -> set[str]:
    return {kept.key for batch in store.kept(prefix) for kept in batch}


def uploading(config: EvidenceConfig, outbox: Outbox, requests: Path) -> EvidenceStore:
    """What uploads to the store, its clock standing still."""
    backoff = Backoff(first_s=0.05, cap_s=0.1)
    return EvidenceStore(outbox, config, MONITOR, requests, backoff=backoff, clock=lambda: NOW_S)
