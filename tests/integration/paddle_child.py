"""Stands where the worker does and speaks its protocol; `opening` and the requests say how it is to behave.

Run as a script. Imports nothing but the standard library, so that it starts at once.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import time
from typing import Any

HEAD = struct.Struct("!4sII")
OUT = os.fdopen(os.dup(1), "wb", buffering=0)


def receive() -> tuple[dict[str, Any], bytes]:
    head = sys.stdin.buffer.read(HEAD.size)
    if not head:
        sys.exit(0)
    _, told, pixels = HEAD.unpack(head)
    return json.loads(sys.stdin.buffer.read(told)), sys.stdin.buffer.read(pixels)


def framed(answer: object) -> bytes:
    told = json.dumps(answer).encode()
    return HEAD.pack(b"smp1", len(told), 0) + told


def behave(request: dict[str, Any], pixels: bytes) -> None:  # noqa: C901 - a table
    match request["do"]:
        case "count":
            OUT.write(framed({"bytes": len(pixels), "sum": sum(pixels) % 65536}))
        case "say":
            OUT.write(framed(request["answer"]))
        case "dribble":
            for byte in framed({"came": "in pieces"}):
                OUT.write(bytes([byte]))
        case "environment":
            OUT.write(framed({"names": sorted(os.environ)}))
        case "chatter":
            sys.stderr.write("much ado\n" * 100_000)
            OUT.write(framed({"said": True}))
        case "garbage":
            OUT.write(b"Downloading: 100% " * 100)
        case "promise":
            OUT.write(HEAD.pack(b"smp1", 1 << 31, 0))
        case "die":
            sys.stderr.write("first\nthe last words\n")
            os._exit(7)
        case "close":
            OUT.close()
            os.close(1)
            time.sleep(600)
        case "hang":
            time.sleep(600)


def main() -> None:
    opening, _ = receive()
    if opening.get("gate"):
        with open(opening["gate"], "rb") as gate:  # noqa: PTH123 - a FIFO: comes back when the test opens it
            gate.read()
    OUT.write(framed({"ready": "0"}))
    while True:
        behave(*receive())


if __name__ == "__main__":
    main()
