"""Other readers of QR codes on the same pictures: `code_readers.py NAME FILE...`, run in an environment of their own.

Prints a JSON list of payloads per file. NAME is `opencv` or `pyzbar`; the latter needs the system's libzbar, or the
path of one in ZBAR_LIBRARY.
"""

from __future__ import annotations

import ctypes.util
import json
import os
import sys
from collections.abc import Callable
from importlib import import_module

import cv2
import numpy as np

Read = Callable[[np.ndarray], list[str]]


def opencv() -> Read:
    """OpenCV's QRCodeDetector."""
    detector = cv2.QRCodeDetector()

    def read(picture: np.ndarray) -> list[str]:
        try:
            _, texts, _, _ = detector.detectAndDecodeMulti(picture)
        except cv2.error:
            return []
        return [text for text in texts if text]

    return read


def pyzbar() -> Read:
    """ZBar's reader, for QR codes alone."""
    if (library := os.environ.get("ZBAR_LIBRARY")) is not None:
        find = ctypes.util.find_library
        ctypes.util.find_library = lambda name: library if name == "zbar" else find(name)
    reader, wrapper = import_module("pyzbar.pyzbar"), import_module("pyzbar.wrapper")
    kinds = [wrapper.ZBarSymbol.QRCODE]
    return lambda picture: [code.data.decode(errors="replace") for code in reader.decode(picture, symbols=kinds)]


def main() -> int:
    """A line per file."""
    name, *files = sys.argv[1:]
    read = {"opencv": opencv, "pyzbar": pyzbar}[name]()
    for file in files:
        with open(file, "rb") as opened:  # noqa: PTH123 - imread does not tell a missing file from a broken one
            picture = cv2.imdecode(np.frombuffer(opened.read(), np.uint8), cv2.IMREAD_COLOR)
        print(json.dumps([] if picture is None else read(picture)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
