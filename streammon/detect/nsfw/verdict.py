"""What the voices say together: scores per label of one picture. Pure; any thread. Why so: docs/adr/0015.

- `explicit`, of the first voice: Porn + Hentai + Sexy / 2. What it cannot tell as Porn or Sexy must not fall between.
- Drawn (Drawing + Hentai at least one half): open_nsfw knows photographs only, so the first voice stands alone, and one
  voice is believed at 0.85 of its word. That is a review under the default policy, never a block.
- Photographs: the geometric mean of both voices. A review (0.7) takes a product of 0.49, so no voice may be below that;
  a block (0.9) takes 0.81 of each at least.
- One voice against the other counts 0.75 v^4: a review from 0.983 on, never a block. Close-ups are what one alone sees.
- For sexy photographs the second voice need only not deny: below 0.2 a picture is "likely to be safe", says open_nsfw's
  own documentation, https://github.com/yahoo/open_nsfw; it denies in proportion.

Of drawings and of photographs by themselves, no score falls as a voice becomes surer. All are 0..1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

ADULT, CARTOON = "pornography.adult", "pornography.cartoon"
VULGAR, SEXY_CARTOON = "sexy.vulgar", "sexy.cartoon"
LABELS = frozenset({ADULT, CARTOON, VULGAR, SEXY_CARTOON})

_DRAWN = 0.5
_ONE_VOICE = 0.85
_AGAINST, _AGAINST_POWER = 0.75, 4
_LIKELY_SAFE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """The first voice's probabilities, 0..1, which sum to 1."""

    drawing: float
    hentai: float
    neutral: float
    porn: float
    sexy: float

    @property
    def drawn(self) -> bool:
        """Whether it is a drawing rather than a photograph."""
        return self.drawing + self.hentai >= _DRAWN

    @property
    def explicit(self) -> float:
        """How much of it is pornography, drawn or not."""
        return min(1.0, self.porn + self.hentai + self.sexy / 2)

    @property
    def suggestive(self) -> float:
        """How much of it is sexy. What may as well be pornography counts as far as there is as much of Sexy."""
        return min(1.0, self.sexy + min(self.sexy, self.porn + self.hentai))


def verdict(first: Shares, second: float | None) -> Mapping[str, float]:
    """Scores by label of what the picture may show.

    `second` is open_nsfw's probability, 0..1; None without a second voice.
    """
    if first.drawn:
        scores = {CARTOON: _ONE_VOICE * first.explicit, SEXY_CARTOON: _ONE_VOICE * first.suggestive}
        return scores if second is None else {**scores, ADULT: _against(second)}
    if second is None:
        return {ADULT: _ONE_VOICE * first.explicit, VULGAR: _ONE_VOICE * first.suggestive}
    agreed = math.sqrt(first.explicit * second)
    return {
        ADULT: max(agreed, _against(first.explicit), _against(second)),
        VULGAR: math.sqrt(first.suggestive * min(1.0, second / _LIKELY_SAFE)),
    }


def _against(voice: float) -> float:
    """What one voice is worth where the other does not agree, or cannot tell."""
    return _AGAINST * float(voice) ** _AGAINST_POWER
