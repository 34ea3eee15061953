"""Whatever a room is called, its pictures lie inside the store, under plain names, each under its own."""

from __future__ import annotations

from datetime import timedelta, timezone
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streammon.deliver.evidence_path import DEFAULT_TEMPLATE, PathTemplate, Place, copy_key, safe_name
from streammon.events import EvidenceKind
from tests.unit.evidence_making import AT

HASH = "0123456789abcdef" * 4
TEMPLATES = [
    DEFAULT_TEMPLATE,
    "ev/{room}/{tenant}/i_{incident}.{sha}.jpg",
    "{incident}/{tenant}/{room}/{date}={sha}.jpg",
]
DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))}
ODD = ["../../etc/passwd", "..", ".", "", "/", "a\x00b", "C:\\x", "直播间" * 100, ".hidden", "\ud800", "a" * 999, "con",
       "NUL.txt", "x.", "x ", "%2F", "~root", "x.annotated", "a=b", "-rf"]  # fmt: skip
names = st.one_of(st.sampled_from(ODD), st.text(max_size=300))


def place(room_id: str = "10086", tenant: str = "acme", incident_id: str = "abc") -> Place:
    return Place(tenant=tenant, room_id=room_id, incident_id=incident_id, at=AT, sha256=HASH)


def test_the_default() -> None:
    key = PathTemplate(DEFAULT_TEMPLATE).key(place())
    assert key == "acme/10086/20250304/050607.890000-abc-0123456789ab.jpg"
    assert copy_key(key, EvidenceKind.SNAPSHOT) == key
    assert copy_key(key, EvidenceKind.BLURRED) == "acme/10086/20250304/050607.890000-abc-0123456789ab.blurred.jpg"


def test_a_key_is_in_utc() -> None:
    template = PathTemplate(DEFAULT_TEMPLATE)
    there = Place(tenant="t", room_id="r", incident_id="i", at=AT.astimezone(timezone(timedelta(hours=8))), sha256=HASH)
    here = Place(tenant="t", room_id="r", incident_id="i", at=AT, sha256=HASH)

    assert template.key(there) == template.key(here)


@pytest.mark.parametrize("text", TEMPLATES)
@given(room_id=names, tenant=names, incident_id=names)
def test_every_segment_is_a_plain_name(text: str, room_id: str, tenant: str, incident_id: str) -> None:
    key = PathTemplate(text).key(place(room_id, tenant, incident_id))

    parts = key.split("/")
    assert len(parts) == text.count("/") + 1
    assert key.isascii()
    assert len(key) <= 900
    for part in parts:
        assert 0 < len(part) <= 255 - len(".annotated.partial.")
        assert part.isprintable()
        assert not set(part) & set('\\:*?"<>| ')
        assert part[0] != "."
        assert part[-1] != "."
        assert part.lower().split(".")[0] not in DEVICES
    assert PurePosixPath(key).as_posix() == key


@pytest.mark.parametrize("text", TEMPLATES)
@given(st.tuples(names, names, names), st.tuples(names, names, names))
def test_different_names_give_different_paths(text: str, one: tuple[str, ...], other: tuple[str, ...]) -> None:
    template = PathTemplate(text)

    assert (template.key(place(*one)) == template.key(place(*other))) == (one == other)


@pytest.mark.parametrize("text", TEMPLATES)
@given(st.tuples(names, names), st.tuples(names, names), st.sampled_from(EvidenceKind))
def test_a_pattern_matches_the_pictures_of_its_room_and_no_others(
    text: str, one: tuple[str, str], other: tuple[str, str], kind: EvidenceKind
) -> None:
    template = PathTemplate(text)
    key = copy_key(template.key(place(*other)), kind)
    (room_id, tenant), same_room, same_tenant = one, one[0] == other[0], one[1] == other[1]

    assert bool(template.pattern(room_id=room_id).fullmatch(key)) == same_room
    assert bool(template.pattern(tenant=tenant).fullmatch(key)) == same_tenant
    assert bool(template.pattern(tenant=tenant, room_id=room_id).fullmatch(key)) == (same_room and same_tenant)
    if same_room and same_tenant:
        assert f"{key}/".startswith(template.prefix(tenant=tenant, room_id=room_id))


@pytest.mark.parametrize(
    "other", ["deeper/{}", "README.jpg", "{}.jpg", "{}/x.jpg", "acme/10086/x/050607.890000-abc-0123456789ab.jpg"]
)
def test_a_pattern_leaves_alone_what_is_not_ours(other: str) -> None:
    template = PathTemplate(DEFAULT_TEMPLATE)
    ours = template.key(place())

    assert template.pattern(room_id="10086").fullmatch(ours)
    assert not template.pattern(room_id="10086").fullmatch(other.format(ours))


def test_a_prefix_is_as_long_as_what_is_known() -> None:
    template = PathTemplate("kept/{tenant}/{room}/{incident}-{sha}.jpg")

    assert template.prefix(tenant="t", room_id="a/b") == "kept/t/a%2Fb"
    assert template.prefix(tenant="t") == "kept/t"
    assert template.prefix(room_id="r") == "kept"
    assert PathTemplate(DEFAULT_TEMPLATE).prefix(room_id="r") == ""


@given(names)
def test_a_short_name_can_be_read_back(text: str) -> None:
    from urllib.parse import unquote  # noqa: PLC0415

    name = safe_name(text)
    if "=" not in name:
        assert unquote(name, errors="surrogatepass") == text


@pytest.mark.parametrize("room_id", ODD)
def test_hostile_rooms_stay_inside_a_real_folder(tmp_path: Path, room_id: str) -> None:
    path = tmp_path / PathTemplate(DEFAULT_TEMPLATE).key(place(room_id, room_id, room_id))
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x")

    assert path.resolve().is_relative_to(tmp_path.resolve())
    assert len(list(tmp_path.rglob("*.jpg"))) == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{tenant}/{room}/{incident}-{sha}", "end in .jpg"),
        ("{room}/{incident}-{sha}.jpg", "lacks {tenant}"),
        ("{tenant}/{room}/{incident}.jpg", "lacks {sha}"),
        ("/{tenant}/{room}/{incident}-{sha}.jpg", "segment ''"),
        ("{tenant}//{room}/{incident}-{sha}.jpg", "segment ''"),
        ("{tenant}/../{room}/{incident}-{sha}.jpg", "hidden"),
        ("{tenant}/.x/{room}/{incident}-{sha}.jpg", "hidden"),
        ("{tenant}/nul/{room}/{incident}-{sha}.jpg", "special"),
        ("{tenant}/con.{room}/{incident}-{sha}.jpg", "special"),
        ("{tenant}/x{room}/{incident}-{sha}.jpg", "divide fields from text"),
        ("{tenant}-{room}/{incident}-{sha}.jpg", "two names of any length"),
        ("{tenant}/{room}/{sha}-{incident}.jpg", "end in a name of any length"),
        ("{tenant}/{room}/{label}/{incident}-{sha}.jpg", "has {label}; the fields are date, incident"),
        ("{tenant}/{room!r}/{incident}-{sha}.jpg", "letters, digits"),
        ("{tenant}/{room.__class__}/{incident}-{sha}.jpg", "letters, digits"),
        ("{tenant}/{room}/a b/{incident}-{sha}.jpg", "letters, digits"),
        ("{tenant}/{room}/" + "x" * 221 + "/{incident}-{sha}.jpg", "longer than 220"),
        ("{tenant}/{room}/" + "x/" * 400 + "{incident}-{sha}.jpg", "more than 900"),
    ],
)
def test_a_template_that_could_go_wrong_is_refused_at_once(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the reason is looked at
        PathTemplate(text)
    assert reason in str(caught.value)
