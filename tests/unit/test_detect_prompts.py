"""Pictures held against sentences, on small real towers: both tell colours, one of pictures and one of words."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image as Pictures

from streammon.config import shipped
from streammon.detect.config import DetectConfig
from streammon.detect.parts import Parts
from streammon.detect.prompts.build import ReadyVectors, TextTower, build_prompts
from streammon.detect.prompts.config import PromptsConfig
from streammon.detect.prompts.prompt_file import PromptFile, read_prompts
from streammon.detect.prompts.prompts import PromptsDetector, Question, pixels
from streammon.detect.prompts.sentences import encode, kept_vectors, read_vectors
from streammon.detect.registry import build_detectors
from streammon.detect.runtime.runtime import Runtime
from streammon.detect.runtime.session import open_session
from streammon.entities import Frame, Image, Moment
from streammon.errors import ConfigError, ModelCorrupt, ModelError, ModelMissing
from tests.needs import need

WORDS = ("<pad>", "<s>", "</s>", "red", "green", "blue", "a", "photo")
RED, GREEN, BLUE = np.eye(3, dtype=np.float32)
FILE = """
version: 1
contrast: [a photo green]
labels:
  violence.fire: {prompts: [a photo red, red], contrast: [a photo blue]}
  values.smoking: {prompts: [a photo blue], contrast: [red]}
"""
Outputs = list[tuple[str, list[Any]]]


def save(path: Path, nodes: list[Any], weights: dict[str, Any], inputs: list[Any], outputs: Outputs) -> Path:
    graph = helper.make_graph(
        nodes,
        "g",
        inputs,
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs],
        [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)
    return path


def vision(path: Path, times: float = 1.0) -> Path:
    """As CLIP's image tower: N vectors, here the mean colour, and a state per patch."""
    weights = {"sides": np.array([2, 3], np.int64), "times": np.array(times, np.float32)}
    nodes = [
        helper.make_node("ReduceMean", ["pixel_values", "sides"], ["means"], keepdims=0),
        helper.make_node("Mul", ["means", "times"], ["image_embeds"]),
        helper.make_node("Identity", ["pixel_values"], ["last_hidden_state"]),
    ]
    inputs = [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["N", 3, 224, 224])]
    return save(path, nodes, weights, inputs, [("last_hidden_state", ["N", 3, 224, 224]), ("image_embeds", ["N", 3])])


def text(path: Path, *, masked: bool = False) -> Path:
    """As its text tower: the words' colours, added up; where it is `masked`, of the words that it is told of."""
    table = np.zeros((len(WORDS), 3), np.float32)
    table[3:6] = np.eye(3)
    table[0] = 9.0 if masked else 0.0
    inputs = [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["N", "n"])]
    nodes = [helper.make_node("Gather", ["table", "input_ids"], ["colours"])]
    if masked:
        inputs.append(helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ["N", "n"]))
        nodes += [
            helper.make_node("Cast", ["attention_mask"], ["told"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["told", "last"], ["column"]),
            helper.make_node("Mul", ["colours", "column"], ["counted"]),
        ]
    nodes.append(
        helper.make_node("ReduceSum", ["counted" if masked else "colours", "one"], ["text_embeds"], keepdims=0)
    )
    weights = {"table": table, "one": np.array([1], np.int64), "last": np.array([2], np.int64)}
    return save(path, nodes, weights, inputs, [("text_embeds", ["N", 3])])


def words(path: Path) -> Path:
    """A tokenizer.json with the parts that CLIP's has: lower case, words, and a token at each end."""
    ends = [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
            {"SpecialToken": {"id": "</s>", "type_id": 0}}]  # fmt: skip
    special = {name: {"id": name, "ids": [WORDS.index(name)], "tokens": [name]} for name in ("<s>", "</s>")}
    content: dict[str, Any] = {
        "version": "1.0", "truncation": None, "padding": {"strategy": {"Fixed": 90}, "direction": "Right",
        "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0, "pad_token": "<pad>"}, "added_tokens": [],
        "normalizer": {"type": "Lowercase"}, "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": {"type": "TemplateProcessing", "single": ends, "pair": ends, "special_tokens": special},
        "decoder": None, "model": {"type": "WordLevel", "vocab": {word: n for n, word in enumerate(WORDS)},
        "unk_token": "<pad>"},
    }  # fmt: skip
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def tokenizers() -> None:
    need("tokenizers", None if find_spec("tokenizers") else "not installed; pip install 'streammon[prompts]'")


def frame(*colour: int, shape: tuple[int, int] = (90, 160)) -> Frame:
    image = np.full((*shape, 3), colour, np.uint8)
    moment = Moment(session=1, pts_s=0.0, received_at=datetime(2026, 1, 1, tzinfo=UTC))
    return Frame(
        room_id="r", moment=moment, seq=1, key_frame=True, width=shape[1], height=shape[0], image=image,
        received_s=0.0, deadline_s=1.0,
    )  # fmt: skip


def never() -> Any:
    raise AssertionError("the text tower was needed")


def tower(folder: Path, made_by: Sequence[str] = ("t", "w"), *, there: bool = True) -> TextTower:
    return TextTower(
        open=(lambda: open_session(text(folder / "text.onnx"), "cpu", 1)) if there else never,
        words=(lambda: words(folder / "words.tokenizer")) if there else never,
        made_by=made_by,
        folder=folder / ".prompts",
    )


def built(folder: Path, of: TextTower, *ready: ReadyVectors, **config: Any) -> PromptsDetector:
    (folder / "prompts.yaml").write_text(FILE)
    session = open_session(vision(folder / "vision.onnx"), "cpu", 1)
    return build_prompts(session, of, ready, PromptsConfig(file=folder / "prompts.yaml", **config))


@pytest.mark.usefixtures("tokenizers")
def test_a_picture_raises_the_labels_whose_sentences_describe_it(tmp_path: Path) -> None:
    detector = built(tmp_path, tower(tmp_path))
    detector.warm_up()
    red, blue, green = detector.detect([frame(255, 0, 0), frame(0, 0, 255), frame(0, 255, 0)])
    assert [(one.label, round(one.score, 3), one.detector, one.model) for one in red] == [
        ("violence.fire", 1.0, "prompts", "vision")
    ]
    assert [one.label for one in blue] == ["values.smoking"]
    assert green == ()


@pytest.mark.usefixtures("tokenizers")
def test_the_text_tower_is_not_needed_a_second_time(tmp_path: Path) -> None:
    first = built(tmp_path, tower(tmp_path)).detect([frame(255, 0, 0)])
    assert built(tmp_path, tower(tmp_path, there=False)).detect([frame(255, 0, 0)]) == first
    for made_by in (("t2", "w"), ("t", "w2")):
        with pytest.raises(AssertionError, match="the text tower was needed"):
            built(tmp_path, tower(tmp_path, made_by, there=False))


@pytest.mark.usefixtures("tokenizers")
def test_sentences_are_cut_to_the_tower_s_length_and_the_rest_is_filled_up(tmp_path: Path) -> None:
    session = open_session(text(tmp_path / "t.onnx"), "cpu", 1)
    vectors = encode(session, words(tmp_path / "w"), ["Red blue", "red " * 200])
    np.testing.assert_allclose(vectors, [[np.sqrt(0.5), 0, np.sqrt(0.5)], [1, 0, 0]], atol=1e-6)
    masked = open_session(text(tmp_path / "m.onnx", masked=True), "cpu", 1)
    np.testing.assert_allclose(encode(masked, words(tmp_path / "w"), ["red"]), [RED], atol=1e-6)


def refuse(_sentences: Sequence[str]) -> Any:
    raise AssertionError("encoded anew")


def colours(sentences: Sequence[str]) -> Any:
    return np.eye(3, dtype=np.float32)[: len(sentences)]


def test_vectors_are_kept_by_their_sentences_and_makers(tmp_path: Path) -> None:
    kept_vectors(["a", "b"], ["t"], tmp_path / "kept", colours)
    np.testing.assert_array_equal(kept_vectors(["a", "b"], ["t"], tmp_path / "kept", refuse), [RED, GREEN])
    for sentences, made_by in ((["b", "a"], ["t"]), (["a", "b"], ["u"]), (["a"], ["t"])):
        with pytest.raises(AssertionError, match="encoded anew"):
            kept_vectors(sentences, made_by, tmp_path / "kept", refuse)


@pytest.mark.parametrize("spoil", [lambda path: path.write_bytes(b"junk"), lambda path: np.save(path, np.eye(2)),
                                   lambda path: np.save(path, np.full((2, 3), np.nan, np.float32)),
                                   lambda path: np.save(path, np.zeros((2, 3), np.float32)),
                                   lambda path: np.save(path, np.eye(3, dtype=np.float32))])  # fmt: skip
def test_kept_vectors_that_are_spoilt_are_made_anew(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    kept_vectors(["a", "b"], ["t"], tmp_path, colours)
    (place,) = tmp_path.glob("*.npy")
    spoil(place)
    np.testing.assert_array_equal(kept_vectors(["a", "b"], ["t"], tmp_path, colours), [RED, GREEN])
    np.testing.assert_array_equal(kept_vectors(["a", "b"], ["t"], tmp_path, refuse), [RED, GREEN])


def test_a_folder_that_cannot_be_written_costs_time_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("in the way")
    np.testing.assert_array_equal(kept_vectors(["a"], ["t"], tmp_path / "file", colours), [RED])
    assert "cannot be kept" in caplog.text


def test_a_full_disk_leaves_no_half_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: object, __: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    np.testing.assert_array_equal(kept_vectors(["a"], ["t"], tmp_path, colours), [RED])
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(ModelCorrupt, match="cannot be read as vectors"):
        read_vectors(tmp_path / "v.npy")


@pytest.mark.usefixtures("tokenizers")
def test_a_ready_pair_asks_its_own_question(tmp_path: Path) -> None:
    np.save(tmp_path / "pair.npy", np.stack([GREEN, RED]))
    pair = ReadyVectors(
        file=tmp_path / "pair.npy", classes=("calm", "violent"), label_map={"violent": "violence.scene"}
    )
    detector = built(tmp_path, tower(tmp_path), pair)
    red, green = detector.detect([frame(255, 0, 0), frame(0, 255, 0)])
    assert {one.label for one in red} == {"violence.fire", "violence.scene"}
    assert green == ()
    short = ReadyVectors(file=pair.file, classes=("calm", "tense", "violent"), label_map=pair.label_map)
    with pytest.raises(ModelCorrupt, match="has 2 vectors, not 3"):
        built(tmp_path, tower(tmp_path), short)


def test_a_score_is_a_softmax_with_clip_s_scale() -> None:
    question = Question(label="l", vectors=np.stack([RED, GREEN, BLUE]), prompts=2)
    picture = np.array([0.60, 0.61, 0.62], np.float32)
    raised = np.exp(100 * np.array([0.60, 0.61, 0.62]))
    assert question.score(picture) == pytest.approx(raised[:2].sum() / raised.sum(), abs=1e-4)


def reference(image: Image) -> Any:
    """As CLIP's own code: the short side to 224, the middle cut out."""
    picture = Pictures.fromarray(image)
    scale = 224 / min(picture.size)
    resized = picture.resize((round(picture.width * scale), round(picture.height * scale)), Pictures.Resampling.BICUBIC)
    left, top = round((resized.width - 224) / 2), round((resized.height - 224) / 2)
    cut = np.asarray(resized.crop((left, top, left + 224, top + 224)), np.float32) / 255
    return (cut - [0.48145466, 0.4578275, 0.40821073]) / [0.26862954, 0.26130258, 0.27577711]


@pytest.mark.parametrize("shape", [(720, 1280), (640, 360), (224, 224), (100, 150)])
def test_pixels_are_what_clip_was_trained_on(shape: tuple[int, int]) -> None:
    y, x = np.mgrid[: shape[0], : shape[1]]
    image = np.stack([x * 255 / shape[1], y * 255 / shape[0], 127 + 127 * np.sin(x * 1.3)], axis=2).astype(np.uint8)
    got = pixels(image)
    assert got.shape == (3, 224, 224)
    assert got.dtype == np.float32
    assert np.abs(got.transpose(1, 2, 0) - reference(image)).max() < 0.15


@pytest.mark.parametrize("shape", [(1, 1), (20_000, 10), (10, 20_000)])
def test_odd_pictures_are_taken(shape: tuple[int, int]) -> None:
    assert np.isfinite(pixels(np.zeros((*shape, 3), np.uint8))).all()


def detector(file: Path, vectors: Any) -> PromptsDetector:
    question = Question(label="violence.fire", vectors=vectors, prompts=1)
    return PromptsDetector(open_session(file, "cpu", 1), [question], 0.0)


def test_numbers_that_are_none_are_an_error_and_no_label(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no number"):
        detector(vision(tmp_path / "v.onnx", float("nan")), np.eye(3, dtype=np.float32)).detect([frame(9, 9, 9)])
    with pytest.raises(ModelError, match="no number"):
        detector(vision(tmp_path / "v.onnx", 0.0), np.eye(3, dtype=np.float32)).detect([frame(9, 9, 9)])


def test_towers_that_do_not_go_together_are_told_as_it_warms_up(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"its vectors have 3 numbers, violence\.fire's 2"):
        detector(vision(tmp_path / "v.onnx"), np.eye(2, dtype=np.float32)).warm_up()


def test_the_file_that_ships_is_valid_and_each_sentence_is_encoded_once() -> None:
    file = read_prompts(shipped("prompts/default.yaml"))
    assert {"values.smoking", "values.tattoo", "violence.gore"} <= set(file.labels)
    assert len(file.sentences()) == len(set(file.sentences()))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("violence.fire", "violence.flames", "is no label of the taxonomy"),
        ("contrast: [a photo green]", "contrast: []", "contrast"),
        ("prompts: [a photo blue]", "prompts: []", "labels.values.smoking.prompts"),
        ("prompts: [a photo blue]", 'prompts: [" "]', "labels.values.smoking.prompts"),
        ("version: 1", "version: 2", "version"),
        ("prompts: [a photo blue]", "promts: [a photo blue]", "unknown key"),
    ],
)
def test_a_fault_of_the_file_is_told_by_its_line(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert old in FILE
    (tmp_path / "p.yaml").write_text(FILE.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        read_prompts(tmp_path / "p.yaml")
    assert told in str(caught.value)


def test_a_sentence_that_speaks_for_a_label_does_not_speak_against_it(tmp_path: Path) -> None:
    file = PromptFile.model_validate(
        {"version": 1, "contrast": ["a", "b"], "labels": {"violence.fire": {"prompts": ["b"], "contrast": ["a"]}}}
    )
    assert file.sentences() == ["a", "b"]
    kept_vectors(file.sentences(), ["t", "w"], tmp_path / ".prompts", colours)
    (tmp_path / "p.yaml").write_text(
        "{version: 1, contrast: [a, b], labels: {violence.fire: {prompts: [b], contrast: [a]}}}"
    )
    session = open_session(vision(tmp_path / "v.onnx"), "cpu", 1)
    made = build_prompts(session, tower(tmp_path, there=False), (), PromptsConfig(file=tmp_path / "p.yaml"))
    (one,) = made.detect([frame(0, 255, 0)])[0]
    assert one.score == pytest.approx(1.0, abs=1e-3)


def test_it_is_built_by_its_name_and_says_what_is_missing(tmp_path: Path) -> None:
    config = DetectConfig.model_validate({"provider": "cpu"})
    there = {"clip-vit-b32-vision": vision(tmp_path / "clip-vit-b32-vision.onnx")}

    def weights(model: str) -> Path:
        if model not in there:
            raise ModelMissing(f"{model} is not in the store")
        return there[model]

    runtime = Runtime(config)
    with pytest.raises(ModelMissing, match="clip-vit-b32-words is not in the store"):
        build_detectors(["prompts"], Parts(weights=weights, label_maps={}, config=config, runtime=runtime))
    assert runtime.models() == ()
