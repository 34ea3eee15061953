"""The converted nets say what the frameworks say that they were made for. Needs the pulled weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from onnxruntime import InferenceSession  # type: ignore[attr-defined]

from tests.needs import need

ROOT = Path(__file__).parents[2]
FIXTURES = Path(__file__).parents[1] / "fixtures"
NANODET: dict[str, Any] = json.loads((FIXTURES / "nanodet" / "expected.json").read_text())["pictures"]
# Of PyPI efficientnet-lite-pytorch 0.1.0 in PyTorch 2.15.0 on `waves()`: the surest classes' logits, and of the last
# features' mean over the picture the first eight values, and the sum.
LOGITS = {722: 8.542186, 736: 6.355353, 417: 5.274091, 522: 4.907940, 644: 4.712892, 818: 4.450911}
FEATURES = [0.0, 0.0, 1.966247, 0.095367, 0.0, 0.011879, 0.188795, 1.379561]
FEATURES_SUM = 185.55


def session(name: str) -> InferenceSession:
    weights = ROOT / "models" / f"{name}.onnx"
    need("weights", None if weights.is_file() else f"`streammon models pull {name}` fetches them")
    return InferenceSession(weights, providers=["CPUExecutionProvider"])


def waves() -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """224 x 224 x 3 in 0..255: waves in red and green, a disc in blue."""
    y, x = np.mgrid[0:224, 0:224].astype(np.float64) / 224
    disc = (np.hypot(x - 0.5, y - 0.5) < 0.3).astype(np.float64)
    return np.round(255 * np.stack([0.5 + 0.5 * np.sin(9 * x + 4 * y), 0.5 + 0.5 * np.cos(7 * x * y + 2), disc]))


def test_efficientnet_lite_says_what_pytorch_says() -> None:
    pixels = ((waves() - 127) / 128)[None].astype(np.float32)
    both = np.concatenate([pixels, pixels[..., ::-1]])
    probabilities, embedding = (np.asarray(out) for out in session("efficientnet-lite0").run(None, {"input": both}))
    ratios = np.log(probabilities[0, list(LOGITS)] / probabilities[0, 722]) + LOGITS[722]
    np.testing.assert_allclose(ratios, list(LOGITS.values()), atol=1e-4)
    assert probabilities[0].argmax() == 722
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(embedding[0, :8], FEATURES, atol=1e-4)
    assert embedding[0].sum() == pytest.approx(FEATURES_SUM, abs=0.01)
    assert np.abs(embedding[1] - embedding[0]).max() > 0.1


@pytest.mark.parametrize("picture", sorted(NANODET))
def test_nanodet_says_what_tfjs_says(picture: str) -> None:
    image = cv2.imread(str(FIXTURES / "nsfwjs" / f"{picture}.png"))
    assert image is not None
    places = np.arange(416)
    rows, columns = places * image.shape[0] // 416, places * image.shape[1] // 416
    pixels = image[np.ix_(rows, columns)].transpose(2, 0, 1)[None].astype(np.float32)
    scores, distances = (np.asarray(out)[0] for out in session("nanodet-coco").run(None, {"input": pixels}))
    assert scores.mean() == pytest.approx(NANODET[picture]["mean_score"], rel=1e-4)
    for one in NANODET[picture]["surest"]:
        assert scores[one["place"], one["class"]] == pytest.approx(one["score"], abs=1e-4)
        np.testing.assert_allclose(distances[one["place"]], one["distances"], atol=1e-3)


def test_the_fixtures_would_show_a_wrong_conversion() -> None:
    surest = [one for picture in NANODET.values() for one in picture["surest"]]
    assert max(one["score"] for one in surest) > 0.5
    # Places of more than one grid, so that their order is held too.
    assert len({int(np.searchsorted([2704, 3380], one["place"], side="right")) for one in surest}) > 1


def test_pictures_of_a_batch_do_not_touch_each_other() -> None:
    net = session("nanodet-coco")
    pixels = np.random.default_rng(1).uniform(0, 255, (3, 3, 416, 416)).astype(np.float32)
    together = np.asarray(net.run(["scores"], {"input": pixels})[0])
    alone = np.concatenate([np.asarray(net.run(["scores"], {"input": one[None]})[0]) for one in pixels])
    np.testing.assert_allclose(together, alone, atol=1e-5)
