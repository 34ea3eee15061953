"""The peers' virtual environments: made once with pip, under the cache folder, and never mixed with our own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_MODELS = ("onnxruntime", "rapidocr==3.10.0", "zxing-cpp==3.1.1")
REQUIREMENTS: Mapping[str, Sequence[str]] = {
    "opencv_loop": ("opencv-python-headless", *_MODELS),
    "streamvision_pipeline": ("streamvision==0.1.3", *_MODELS),
}
"""A peer's script to the packages that it needs."""
_INSTALL_S = 600.0


def interpreter(peer: str, folder: Path) -> Path:
    """The peer's Python. Raises CalledProcessError or TimeoutExpired where its environment cannot be made."""
    place, wanted = folder / "peers" / peer, "\n".join(REQUIREMENTS[peer])
    made, python = place / "requirements.txt", place / "bin" / "python"
    if not made.exists() or made.read_text(encoding="utf-8") != wanted:
        shutil.rmtree(place, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *REQUIREMENTS[peer]], check=True, timeout=_INSTALL_S)
        made.write_text(wanted, encoding="utf-8")
    return python
