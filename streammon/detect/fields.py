"""Kinds of values that several sections of the configuration have."""

from __future__ import annotations

import difflib
from typing import Annotated

from pydantic import AfterValidator, Field

from streammon.taxonomy import load_taxonomy


def known_label(name: str) -> str:
    """`name`, which is a label of the taxonomy. Raises ValueError, which names the nearest, where it is none."""
    known = load_taxonomy().labels
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        nearest = f"; the nearest is {near[0]}" if near else ""
        raise ValueError(f"is no label of the taxonomy{nearest}; `streammon labels` lists them")
    return name


TaxonomyLabel = Annotated[str, AfterValidator(known_label)]
Score = Annotated[float, Field(ge=0, le=1)]
