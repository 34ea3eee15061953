"""The catalogue: what ships is complete, and every fault in one is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from streammon.errors import ConfigError, ModelMissing
from streammon.models.catalog import Task, UrlSource, load_catalog, parse_catalog
from streammon.taxonomy import load_taxonomy

ENTRY = """
version = 1

[models.one]
task = "image_classification"
card = "one.md"
licence = { spdx = "MIT", permissive = true }
raw_labels = ["Safe", "Porn"]
label_map = { Porn = "pornography.adult" }

[models.one.input]
layout = "NHWC"
colour = "RGB"
height = 8
width = 8
divisor = 255.0
mean = 0.0
std = 1.0
resize = "bilinear"

[models.one.source]
ecosystem = "pypi"
package = "one"
version = "1.0"
download_bytes = 10
files = [{ path = "one/one.onnx", sha256 = "SHA", size_bytes = 3 }]
""".replace("SHA", "a" * 64)
B64 = "b" * 64


def test_the_shipped_catalogue_names_the_models_and_what_they_raise() -> None:
    models = load_catalog().models
    assert {"nsfwjs-inception-v3", "ppocrv6-det-small", "ppocrv6-rec-small"} <= set(models)
    nsfw = models["nsfwjs-inception-v3"]
    assert nsfw.task is Task.IMAGE_CLASSIFICATION
    assert nsfw.raw_labels == ("Drawing", "Hentai", "Neutral", "Porn", "Sexy")
    assert nsfw.label_map == {"Porn": "pornography.adult", "Hentai": "pornography.cartoon", "Sexy": "sexy.vulgar"}
    assert len(nsfw.source.files) == 7
    assert models["ppocrv6-det-small"].source.name == models["ppocrv6-rec-small"].source.name


def test_every_shipped_model_has_a_card() -> None:
    cards = Path(__file__).parents[2] / "models"
    for model in load_catalog().models.values():
        text = (cards / model.card).read_text(encoding="utf-8")
        assert model.name in text
        assert model.licence.spdx in text
        assert (model.source.base if isinstance(model.source, UrlSource) else model.source.name) in text


def test_every_shipped_label_is_in_the_taxonomy() -> None:
    known = load_taxonomy().labels
    assert all(label in known for model in load_catalog().models.values() for label in model.label_map.values())


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ModelMissing, match=r"'nsfw'.*nsfwjs-inception-v3, .*ppocrv6-det-small"):
        load_catalog().get("nsfw")


def test_a_valid_entry_is_read() -> None:
    model = parse_catalog({"c.toml": ENTRY}).get("one")
    assert (model.name, model.convert, model.picture.height) == ("one", None, 8)


def test_mean_and_deviation_may_be_told_per_channel() -> None:
    text = ENTRY.replace("mean = 0.0", "mean = [1.0, 2.0, 3.0]").replace("std = 1.0", "std = [4.0, 5.0, 6.0]")
    given = parse_catalog({"c.toml": text}).get("one").picture
    assert (given.mean, given.std) == ((1.0, 2.0, 3.0), (4.0, 5.0, 6.0))


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("pornography.adult", "porn.adult", "'porn.adult' is not in the taxonomy"),
        ("{ Porn =", "{ Pron =", "'Pron' is not one of raw_labels"),
        ('card = "one.md"', 'card = "one.md"\nconvrt = "nsfwjs-1"', "unknown key 'convrt'"),
        ('card = "one.md"', 'card = "one.md"\nconvert = "caffe-1"', "'caffe-1'; the known ones: nsfwjs-1"),
        ("size_bytes = 3 }", f'size_bytes = 3 }}, {{ path = "b", sha256 = "{B64}", size_bytes = 1 }}', "`convert`"),
        ("a" * 64, "a" * 63, "sha256"),
        ('"pypi"', '"conda"', "ecosystem"),
        ('package = "one"', 'package = "--index-url"', "package"),
        ("permissive = true", "permissiv = true", "permissive"),
        ("divisor = 255.0", "divisor = 0.0", "divisor"),
        ("mean = 0.0", "mean = [1.0, 2.0]", "mean"),
        ("std = 1.0", "std = [1.0, 0.0, 1.0]", "std"),
    ],
)
def test_a_fault_is_named_with_its_model_and_line(old: str, new: str, reason: str) -> None:
    assert old in ENTRY
    with pytest.raises(ConfigError) as raised:
        parse_catalog({"c.toml": ENTRY.replace(old, new)})
    (problem,) = raised.value.problems
    assert str(problem).startswith("c.toml:4: models.one: ")
    assert reason in problem.reason


@pytest.mark.parametrize("name", ["../one", "One", "-one", "a/b"])
def test_a_name_that_would_not_be_a_file_name_is_refused(name: str) -> None:
    text = ENTRY.replace("[models.one", f'[models."{name}"')
    with pytest.raises(ConfigError, match="name"):
        parse_catalog({"c.toml": text})


def test_all_faulty_models_are_named_at_once() -> None:
    second = ENTRY.replace("version = 1\n", "", 1).replace("models.one", "models.two")
    with pytest.raises(ConfigError) as raised:
        parse_catalog({"c.toml": (ENTRY + second).replace("pornography.adult", "nothing")})
    assert [problem.key for problem in raised.value.problems] == ["models.one", "models.two"]


@pytest.mark.parametrize(("text", "reason"), [("version = 2", "must be 1"), ("[", "not TOML")])
def test_a_file_that_is_no_catalogue_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        parse_catalog({"c.toml": text})


def test_a_model_that_stands_in_two_files_is_told_with_the_second() -> None:
    with pytest.raises(ConfigError, match=r"b\.toml.*models\.one.*stands in another file"):
        parse_catalog({"a.toml": ENTRY, "b.toml": ENTRY})


PINNED = ENTRY.replace(
    """ecosystem = "pypi"
package = "one"
version = "1.0"
download_bytes = 10
""",
    f"""ecosystem = "url"
base = "https://models.test/{"c" * 40}/"
revision = "{"c" * 40}"
""",
)


def test_an_entry_with_an_address_is_read() -> None:
    source = parse_catalog({"c.toml": PINNED}).get("one").source
    assert isinstance(source, UrlSource)
    assert source.url(source.files[0]) == f"https://models.test/{'c' * 40}/one/one.onnx"
    assert (source.name, source.size_bytes) == (source.url(source.files[0]), 3)


def test_a_release_is_a_pin_too() -> None:
    text = PINNED.replace(f"/{'c' * 40}/", "/releases/download/0.1.1rc0/").replace("c" * 40, "0.1.1rc0")
    assert isinstance(parse_catalog({"c.toml": text}).get("one").source, UrlSource)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("https://models", "http://models", "base: must begin with https://"),
        (f"{'c' * 40}/", "c" * 40, "end with /"),
        (f'revision = "{"c" * 40}"', 'revision = "main"', "revision"),
        (f'revision = "{"c" * 40}"', f'revision = "{"d" * 40}"', f"must hold /{'d' * 40}/"),
        (f'revision = "{"c" * 40}"', 'revision = "1.0"', "must hold /releases/download/1.0/"),
        ("one/one.onnx", "../one.onnx", "'../one.onnx' is no path below `base`"),
        ("one/one.onnx", "one.onnx?token=1", "no path below"),
        ("size_bytes = 3", "size_bytes = 0", "size_bytes"),
        ("std = 1.0", "std = [1.0, 0.0, 1.0]", "std: must be above 0"),
    ],
)
def test_an_address_that_may_lead_elsewhere_tomorrow_is_refused(old: str, new: str, reason: str) -> None:
    assert old in PINNED
    with pytest.raises(ConfigError) as raised:
        parse_catalog({"c.toml": PINNED.replace(old, new)})
    assert reason in raised.value.problems[0].reason


def test_what_comes_from_addresses_is_pulled_by_name_only() -> None:
    models = load_catalog().models.values()
    assert all(model.optional for model in models if isinstance(model.source, UrlSource))
    assert not any(model.by_default for model in models if model.optional or not model.licence.permissive)
