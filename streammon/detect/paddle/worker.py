"""The child: the official paddleocr package behind requests on stdin and answers on stdout.

It is started by its path, by the interpreter of another environment, and imports nothing of ours. A message is `HEAD`,
so many bytes of JSON, and so many of pixels. The main thread answers one request after the other; another one reads
them, and ends the process as soon as stdin ends, whatever is going on. The network is refused. What is written to
stderr holds nothing of what was read: of what fails in a request, only its type and place are told.
"""

from __future__ import annotations

import faulthandler
import json
import os
import struct
import sys
import traceback
from collections.abc import Callable
from importlib.metadata import version
from queue import SimpleQueue
from threading import Thread
from typing import Any, BinaryIO

import numpy as np

HEAD = struct.Struct("!4sII")
MAGIC = b"smp1"
"""`HEAD` is this mark, the length of the JSON, and that of the pixels, in bytes."""
MAX_ANSWER_BYTES = 1 << 24

Message = tuple[dict[str, Any], bytes]

_OFFLINE = frozenset(
    {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.sendmsg"}
)


class Reader:
    """Both models, opened from the directories that the first request names."""

    def __init__(self, asked: dict[str, Any]) -> None:
        from paddleocr import TextDetection, TextRecognition  # noqa: PLC0415 - after the network is refused

        engine = {"intra_op_num_threads": asked["threads"], "inter_op_num_threads": 1, "log_severity_level": 4}
        common = {"engine": "onnxruntime", "engine_config": engine, "device": "cpu"}
        (find_name, find_folder), (read_name, read_folder) = asked["detection"], asked["recognition"]
        self._detection = TextDetection(model_name=find_name, model_dir=find_folder, **common)
        self._recognition = TextRecognition(model_name=read_name, model_dir=read_folder, **common)

    def locate(self, asked: dict[str, Any], pixels: bytes) -> dict[str, Any]:
        """Quadrangles (4 x 2, pixels) of lines in an RGB picture that is shown with its longest side at `side_px`.

        Pixels count from `thresh` on, lines from `box_thresh` (0..1); where these are left out, from the model's own.
        """
        image = _bgr(pixels, asked["shape"])
        limits = {name: asked[name] for name in ("thresh", "box_thresh") if name in asked}
        (found,) = self._detection.predict(image, limit_side_len=asked["side_px"], limit_type="resize_long", **limits)
        quads = np.asarray(found["dt_polys"], np.float64).reshape(-1, 4, 2).tolist()
        return {"quads": quads, "scores": [float(score) for score in found["dt_scores"]]}

    def read(self, asked: dict[str, Any], pixels: bytes) -> dict[str, Any]:
        """Text and confidence (0..1) of each of the RGB pictures of these shapes, which lie one behind the other."""
        images, start = [], 0
        for shape in asked["shapes"]:
            end = start + shape[0] * shape[1] * 3
            images.append(_bgr(pixels[start:end], shape))
            start = end
        found = self._recognition.predict(images, batch_size=1)
        return {"lines": [[one["rec_text"], float(one["rec_score"])] for one in found]}


def _bgr(pixels: bytes, shape: list[int]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.ascontiguousarray(np.frombuffer(pixels, np.uint8).reshape(*shape, 3)[..., ::-1])


def serve(incoming: BinaryIO, outgoing: BinaryIO) -> None:
    """Answers until stdin ends, which ends the process."""
    requests: SimpleQueue[Message] = SimpleQueue()
    Thread(target=_receive, args=(incoming, requests.put), name="requests", daemon=True).start()
    asked, _ = requests.get()
    reader = Reader(asked)
    _send(outgoing, {"ready": version("paddleocr")})
    work: dict[str, Callable[[dict[str, Any], bytes], dict[str, Any]]] = {"locate": reader.locate, "read": reader.read}
    while True:
        asked, pixels = requests.get()
        try:
            answer = work[asked["do"]](asked, pixels)
        except Exception as error:  # noqa: BLE001 - whatever one picture does, the next is answered
            answer = {"error": _place_of(error)}
        _send(outgoing, answer)


def _place_of(error: Exception) -> str:
    """An error without its message, which might quote what was read."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {os.path.basename(last.filename)}:{last.lineno}"  # noqa: PTH119


def _receive(incoming: BinaryIO, take: Callable[[Message], None]) -> None:
    try:
        while True:
            _, told, pixels = HEAD.unpack(_exactly(incoming, HEAD.size))
            take((json.loads(_exactly(incoming, told)), _exactly(incoming, pixels)))
    finally:
        os._exit(0)


def _exactly(incoming: BinaryIO, size: int) -> bytes:
    data = incoming.read(size)
    if len(data) < size:
        raise EOFError
    return data


def _send(outgoing: BinaryIO, answer: dict[str, Any]) -> None:
    told = json.dumps(answer).encode()
    outgoing.write(HEAD.pack(MAGIC, len(told), 0) + told)
    outgoing.flush()


def _refuse_network(event: str, _: tuple[Any, ...]) -> None:
    if event in _OFFLINE:
        raise PermissionError("paddleocr has no business with the network here")


def main() -> None:
    """The process's whole life."""
    faulthandler.enable()
    sys.addaudithook(_refuse_network)
    incoming, outgoing = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # What a library prints goes to stderr: stdout is for answers.
    os.dup2(2, 1)
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123
        os.dup2(nothing.fileno(), 0)
    serve(incoming, outgoing)


if __name__ == "__main__":
    main()
