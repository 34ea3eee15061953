"""What an operator may set about the pictures that are looked for again. Imports none of what looks."""

from __future__ import annotations

from pydantic import Field

from streammon.config import Section


class PicturesConfig(Section):
    """The finder of known pictures; the lists are in `detect.library`."""

    parts: bool = Field(default=True, description="a known picture is found as a part of the frame, too")
    max_matches: int = Field(default=8, ge=1, le=64, description="pictures reported per frame")
