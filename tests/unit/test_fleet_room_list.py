"""The rooms file: what it gives, and every fault of it at once, without a word of what may be secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from streammon.entities import Room
from streammon.errors import ConfigError
from streammon.fleet.room_list import RoomFile
from tests.unit.judging import write

EXAMPLE = Path(__file__).parents[2] / "configs" / "rooms.example.yaml"
SECRET = "s3cr3t"  # noqa: S105


def rooms(path: Path) -> list[Room]:
    return RoomFile(path, 2.0, policies=("live-default", "live-strict"), detectors=("qr", "ocr")).rooms()


def read(folder: Path, *entries: str) -> list[Room]:
    lines = "".join(f"- {entry}\n" for entry in entries)
    return rooms(write(folder, "rooms.yaml", f"version: 1\nrooms:\n{lines}"))


def faults(folder: Path, *entries: str) -> list[str]:
    """The problems as `line: key: reason`; entries begin in line 3."""
    with pytest.raises(ConfigError) as caught:
        read(folder, *entries)
    return [str(problem).removeprefix(f"{folder}/rooms.yaml:") for problem in caught.value.problems]


def test_a_room_needs_an_id_and_a_url(tmp_path: Path) -> None:
    assert read(tmp_path, "{id: a, url: 'rtmp://h/x'}") == [Room(room_id="a", url="rtmp://h/x", interval_s=2.0)]


def test_a_room_may_say_everything(tmp_path: Path) -> None:
    (room,) = read(
        tmp_path,
        "{id: a, url_command: 'sign --for \"a b\"', tenant: acme, policy: live-strict, interval: 500ms, priority: -3,"
        " headers: {Referer: 'https://h/'}, passthrough: {order: [1, {x: y}]}, every: {ocr: 10s}}",
    )
    assert room == Room(
        room_id="a", url="", url_command=("sign", "--for", "a b"), tenant="acme", policy="live-strict", interval_s=0.5,
        priority=-3, headers={"Referer": "https://h/"}, passthrough={"order": [1, {"x": "y"}]}, every_s={"ocr": 10.0},
    )  # fmt: skip
    assert type(room.passthrough["order"]) is list


def test_a_command_may_be_a_list(tmp_path: Path) -> None:
    (room,) = read(tmp_path, "{id: a, url_command: [sign, 'a b']}")
    assert room.url_command == ("sign", "a b")


def test_a_file_is_relative_to_the_list(tmp_path: Path) -> None:
    relative, absolute = read(tmp_path, "{id: a, url: clips/a.mp4}", "{id: b, url: /clips/b.mp4}")
    assert (relative.url, absolute.url) == (f"{tmp_path}/clips/a.mp4", "/clips/b.mp4")


def test_secrets_come_from_the_environment_and_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOM_URL", f"rtmps://h/{SECRET}")
    write(tmp_path, "token", f"Bearer {SECRET}\n")
    (room,) = read(tmp_path, "{id: a, url_from: {env: ROOM_URL}, headers_from: {Authorization: {file: token}}}")
    assert (room.url, room.headers) == (f"rtmps://h/{SECRET}", {"Authorization": f"Bearer {SECRET}"})


def test_secrets_that_are_not_there_are_all_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GONE", raising=False)
    assert faults(tmp_path, "{id: a, url_from: {env: GONE}}", "{id: b, url_from: {file: gone}}") == [
        "$GONE:1: rooms[0].url_from: is empty or not set",
        f"{tmp_path}/gone:1: rooms[1].url_from: No such file or directory",
    ]


def test_a_secret_that_is_no_address_is_told_without_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOM_URL", f"ftp://h/{SECRET}")
    (fault,) = faults(tmp_path, "{id: a, url_from: {env: ROOM_URL}}")
    assert "rooms[0]: a secret should begin with rtmp://" in fault
    assert SECRET not in fault


def test_what_is_shipped_as_an_example_is_valid() -> None:
    assert [room.room_id for room in rooms(EXAMPLE)] == ["10086", "10087"]


def test_every_fault_is_told_in_one_go(tmp_path: Path) -> None:
    known = "the known ones are live-default, live-strict"
    assert faults(
        tmp_path,
        "{id: a, url: 'rtmp://h/x'}",
        "{id: a, url: 'ftp://h/x', policy: none}",
        "{id: '', url: x, interval: 0, every: {eyes: 1s}, priority: 101}",
        "{id: b}",
        "{id: c, url: x, url_command: y}",
        "{id: d, url: x, nam: y}",
    ) == [
        "4: rooms[1].id: stands in the list already (got 'a')",
        "4: rooms[1].url: should begin with rtmp://, rtmps://, http:// or https://, or be a file",
        f"4: rooms[1].policy: no policy has this id; {known} (got 'none')",
        "5: rooms[2].id: should be 1 to 200 printable characters (got '')",
        "5: rooms[2].interval: Input should be greater than or equal to 0.1 (got 0)",
        "5: rooms[2].priority: Input should be less than or equal to 100 (got 101)",
        "5: rooms[2].every: no detector is called eyes; those of `detectors` are qr, ocr",
        "6: rooms[3]: should have one of `url`, `url_from` and `url_command`",
        "7: rooms[4]: should have one of `url`, `url_from` and `url_command`",
        "8: rooms[5].nam: unknown key",
    ]


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("{id: a, url: x, passthrough: {x: %s}}" % ("y" * 1100), "should be at most 1024 bytes as JSON"),
        ("{id: a, url: x, passthrough: {x: 2026-01-01}}", "should be what JSON can hold: put dates in quotes"),
        ("{id: a, url: x, passthrough: {x: .nan}}", "should be what JSON can hold"),
        ("{id: a, url: x, headers: {'A B': x}}", "'A B' is no header's name"),
        ("{id: a, url: x, headers: {A: 'é'}}", "A should have a value of plain characters"),
        ("{id: a, url: x, headers: {A: 7}}", "A should have text as its value"),
        ("{id: a, url_command: ''}", "is empty"),
        ("{id: a, url_command: \"'\"}", "is not a command"),
        ("{id: a, url_command: [x, 7]}", "should be a command"),
        ("{id: a, url_from: rtmp}", "should be a section"),
    ],
)  # fmt: skip
def test_what_a_room_may_not_say(tmp_path: Path, entry: str, reason: str) -> None:
    (fault,) = faults(tmp_path, entry)
    assert reason in fault


@pytest.mark.parametrize(
    "entry",
    [
        f"ftp://h/{SECRET}",
        f"{{id: a, url: 'ftp://h/{SECRET}'}}",
        f"{{id: a, url: ['rtmp://h/{SECRET}']}}",
        f"{{id: a, 'rtmp://h/{SECRET}': x}}",
        f"{{id: a, url: x, headers: {{A: 'é{SECRET}'}}}}",
        f"{{id: a, url: x, headers: {SECRET}}}",
        f"{{id: a, url: x, headers_from: {{A: {SECRET}}}}}",
        f"{{id: a, url_from: 'rtmp://h/{SECRET}'}}",
        f"{{id: a, url_command: [{SECRET}, 1]}}",
        f"{{id: a, url: x, passthrough: {SECRET}}}",
    ],
)
def test_nothing_that_may_be_secret_is_told(tmp_path: Path, entry: str) -> None:
    assert SECRET not in "\n".join(faults(tmp_path, entry))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("version: 1\nrooms: []\n", "at least one"),
        ("version: 2\nrooms: []\n", "should be 1"),
        ("rooms: []", "required"),
    ],
)
def test_a_list_is_not_empty_and_of_our_version(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        rooms(write(tmp_path, "rooms.yaml", text))


def test_where_the_policies_are_not_known_the_rest_is_still_checked(tmp_path: Path) -> None:
    path = write(tmp_path, "rooms.yaml", "version: 1\nrooms:\n- {id: a, url: x, policy: any}\n- {id: a, url: x}\n")
    with pytest.raises(ConfigError) as caught:
        RoomFile(path, 2.0, policies=None, detectors=()).rooms()
    assert [problem.key for problem in caught.value.problems] == ["rooms[1].id"]
