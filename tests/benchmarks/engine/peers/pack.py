"""The same models as most people would call them: ONNX Runtime, RapidOCR and zxing-cpp, each as it comes."""

from __future__ import annotations

import json
import time
from typing import Any

import cv2
import numpy as np
import zxingcpp
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_inference_collection import InferenceSession
from rapidocr import RapidOCR

FRAMES_PER_SAMPLE = 60
"""Of a stream of 30 frames a second: one frame per 2 s."""
_SIDE_PX = 299


class Pack:
    """Classifier, text and codes for one picture after the other."""

    def __init__(self, weights: str) -> None:
        self._nsfw = InferenceSession(weights)
        self._input = self._nsfw.get_inputs()[0].name
        self._formats = zxingcpp.barcode_formats_from_str("QRCode")
        self._ocr: Any = RapidOCR()

    def look(self, picture: NDArray[Any]) -> tuple[list[float], list[str], list[str]]:
        """The classes' probabilities, the lines of text, the codes' payloads of a BGR picture."""
        small = cv2.cvtColor(cv2.resize(picture, (_SIDE_PX, _SIDE_PX)), cv2.COLOR_BGR2RGB)
        outputs: Any = self._nsfw.run(None, {self._input: small[None].astype(np.float32) / 255})
        lines = list(self._ocr(picture).txts or ())
        codes = [code.text for code in zxingcpp.read_barcodes(picture, formats=self._formats)]
        return outputs[0][0].tolist(), lines, codes


def write(room: int, read_s: float, frame: int, looked: tuple[list[float], list[str], list[str]]) -> None:
    """A result, as a line: its frame's number in the stream, and when that was read (`time.monotonic()`)."""
    scores, lines, codes = looked
    result = {"room": room, "frame": frame, "read_s": read_s, "done_s": time.monotonic()}
    print(json.dumps(result | {"scores": scores, "lines": lines, "codes": codes}), flush=True)
