"""What it costs to see that a picture is unchanged, how often one is, and what is missed. `make bench-change`.

Still rooms with a camera's noise go through a live encoder; every second something small comes in, somewhere: a code
of 48 px, a line of text of 14 px at 60 %, a head. Each picture is held against the one just before the newcomer. Then
the reader of text is asked whether there is anything for it in what has changed, see `change_parts`.
"""

from __future__ import annotations

import json
import time
from collections import Counter

import numpy as np

from streammon.detect.change.picture_print import changed, print_of
from tests.benchmarks.change_parts import measure, open_reader
from tests.unit.test_detect_change import RATE, Change, code, head, line_of_text, live, room_picture

STREAMS, NEWCOMERS, PART_STREAMS = 12, 25, 12
KINDS: dict[str, Change] = {"qr_48px": code(48), "text_14px": line_of_text, "head": head}
# Pictures after it came at which a newcomer is looked for: a sample may be any of them.
LATER = (4, 7, 10, 13)


def cost_us(rounds: int = 300) -> float:
    """CPU microseconds of a 1280x720 picture's print and of holding it against another."""
    picture = room_picture(1)
    before, began_s = print_of(picture), time.process_time()
    for _ in range(rounds):
        changed(before, print_of(picture))
    return (time.process_time() - began_s) / rounds * 1e6


def main() -> None:
    """Prints a table and, as its last line, the figures as JSON."""
    rng = np.random.default_rng(20261123)
    looked: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    still = spared = 0
    for stream in range(STREAMS):
        picture, shown, kinds = room_picture(1000 + stream), [], []
        shown += [picture] * (2 * RATE)
        for number in range(NEWCOMERS):
            kind = list(KINDS)[number % len(KINDS)]
            picture = picture.copy()
            KINDS[kind](picture, rng)
            shown += [picture] * RATE
            kinds.append(kind)
        seen = [print_of(image) for image in live(shown, stream)]
        for number, kind in enumerate(kinds):
            first = (2 + number) * RATE
            for later in LATER:
                looked[kind] += 1
                missed[kind] += not changed(seen[first - 1], seen[first + later]).any
            still += 1
            spared += not changed(seen[first + 5], seen[first + RATE - 1]).any
    for kind in KINDS:
        print(f"{kind:<10} {looked[kind]:5d} looks {missed[kind]:5d} missed")
    took_us = cost_us()
    print(f"unchanged  {still:5d} looks {spared:5d} spared; {took_us:.0f} us of CPU per 720p picture")
    parts = measure(open_reader(), PART_STREAMS, NEWCOMERS)
    print(f"text in a part: {', '.join(f'{number} {what}' for what, number in sorted(parts.items()))}")
    figures = {
        "insertions": STREAMS * NEWCOMERS,
        "looks": sum(looked.values()),
        "missed": sum(missed.values()),
        "still_looks": still,
        "spared_share": round(spared / still, 3),
        "print_us": round(took_us),
        "part_looks": parts["looked at"] + parts["missed"],
        "part_missed": parts["missed"],
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
