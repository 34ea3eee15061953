"""Makes the copies of a picture that a configuration asks for. The store's thread."""

from __future__ import annotations

import msgspec

from streammon.deliver.evidence_config import EvidenceConfig
from streammon.deliver.evidence_drawing import annotated, blurred
from streammon.deliver.evidence_font import Lettering
from streammon.deliver.records import EvidenceRecord
from streammon.events import EvidenceKind, Hit


class Copies:
    """Raises EvidenceError where the font that is asked for cannot be had."""

    def __init__(self, config: EvidenceConfig) -> None:
        self._quality = config.quality
        self._lettering = Lettering(config.font) if config.annotated else None
        self._blurred = config.blurred

    def of(self, record: EvidenceRecord) -> dict[EvidenceKind, bytes]:
        """The copies as JPEG, by kind. Raises EvidenceError where the picture cannot be read."""
        copies = {}
        if self._lettering is not None:
            hits = msgspec.json.decode(record.hits, type=tuple[Hit, ...])
            copies[EvidenceKind.ANNOTATED] = annotated(record.jpeg, hits, self._lettering, quality=self._quality)
        if self._blurred:
            copies[EvidenceKind.BLURRED] = blurred(record.jpeg, quality=self._quality)
        return copies
