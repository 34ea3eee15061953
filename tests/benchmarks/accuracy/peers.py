"""Runs the other readers of codes, in an environment that is made once with pip under the cache folder."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_REQUIREMENTS = ("opencv-python-headless>=5,<6", "pyzbar==0.1.9")
_SCRIPT = Path(__file__).with_name("code_readers.py")
_INSTALL_S, _RUN_S = 600.0, 600.0


def peer_payloads(name: str, files: Sequence[Path], cache: Path) -> list[list[str]] | str:
    """What the reader gives for each file; as text why it cannot run here."""
    try:
        python = _interpreter(cache)
        ran = subprocess.run(
            [python, _SCRIPT, name, *files], check=True, timeout=_RUN_S, capture_output=True, text=True
        )
    except subprocess.CalledProcessError as error:
        return (error.stderr or "it failed").strip().splitlines()[-1]
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return [json.loads(line) for line in ran.stdout.splitlines()]


def _interpreter(cache: Path) -> Path:
    place = cache / "peers" / "code_readers"
    python, made, wanted = place / "bin" / "python", place / "requirements.txt", "\n".join(_REQUIREMENTS)
    if not made.exists() or made.read_text(encoding="utf-8") != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True, capture_output=True, text=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *_REQUIREMENTS]
        subprocess.run(pip, check=True, timeout=_INSTALL_S, capture_output=True, text=True)
        made.write_text(wanted, encoding="utf-8")
    return python
