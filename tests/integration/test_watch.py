"""The main job, end to end: publish, watch, consume; the same over RTMP and over HLS, by the command itself."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CLIP = ROOT / "sample_streams" / "room.mp4"
MODELS = ROOT / "models"
INTERVAL_S = 1.0
