"""Where a live playlist is followed from reload to reload: each segment once, in order, and every break in the run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streammon.ingest.hls.following import Following, Step
from streammon.ingest.hls.playlist import parse_playlist
from streammon.ingest.hls.playlist_entities import MediaPlaylist, Segment

TARGET_S = 4.0


def playlist(first: int, *lines: str, discontinuities: int | None = None, ended: bool = False) -> MediaPlaylist:
    """`lines` are tags and segments' names; each segment lasts 4 s."""
    head = [f"#EXT-X-TARGETDURATION:{TARGET_S:g}", f"#EXT-X-MEDIA-SEQUENCE:{first}"]
    head += [] if discontinuities is None else [f"#EXT-X-DISCONTINUITY-SEQUENCE:{discontinuities}"]
    body = [line if line.startswith("#") else f"#EXTINF:4,\n{line}" for line in lines]
    tail = ["#EXT-X-ENDLIST"] if ended else []
    read = parse_playlist("\n".join(["#EXTM3U", *head, *body, *tail]), "")
    assert isinstance(read, MediaPlaylist)
    return read


def numbered(first: int, end: int) -> MediaPlaylist:
    return playlist(first, *(str(number) for number in range(first, end)))


def taken(following: Following) -> list[str]:
    """The segments that are next; those that begin a new run have a bar before them."""
    names = []
    while (segment := following.next()) is not None:
        names.append(f"|{segment.uri}" if following.take(segment).begins_run else segment.uri)
    return names


def next_of(following: Following) -> Segment:
    segment = following.next()
    assert segment is not None
    return segment


def step(following: Following) -> Step:
    """How the next segment follows."""
    return following.take(next_of(following))


DISC = "#EXT-X-DISCONTINUITY"
GAP = "#EXT-X-GAP"
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def date(after_s: float) -> str:
    return f"#EXT-X-PROGRAM-DATE-TIME:{(NOON + timedelta(seconds=after_s)).isoformat()}"


def dates(following: Following) -> list[float | None]:
    """Of the segments that are next, in seconds after noon."""
    found = []
    while (segment := following.next()) is not None:
        following.take(segment)
        found.append(None if segment.program_at is None else (segment.program_at - NOON).total_seconds())
    return found


def test_it_begins_with_the_newest_segment() -> None:
    assert taken(Following(numbered(5, 9), 0.0, from_start=False)) == ["|8"]


def test_a_stream_that_is_over_is_taken_from_its_beginning() -> None:
    following = Following(playlist(0, "a", DISC, "b", "c", ended=True), 0.0, from_start=True)
    assert taken(following) == ["|a", "|b", "c"]
    assert following.ended


def test_what_is_new_is_taken_once() -> None:
    following = Following(numbered(5, 9), 0.0, from_start=False)
    assert taken(following) == ["|8"]
    for window, new in ((numbered(5, 9), []), (numbered(6, 10), ["9"]), (numbered(9, 13), ["10", "11", "12"])):
        following.update(window, 0.0)
        assert taken(following) == new


def test_an_empty_playlist_begins_later() -> None:
    following = Following(playlist(7), 0.0, from_start=False)
    assert taken(following) == []
    following.update(playlist(7), 0.0)
    following.update(playlist(7, "a", "b"), 0.0)
    assert taken(following) == ["|a", "b"]


def test_segments_that_were_missed_are_not_made_up_for() -> None:
    following = Following(numbered(5, 9), 0.0, from_start=False)
    taken(following)
    following.update(numbered(9, 11), 0.0)
    assert taken(following) == ["9", "10"]
    following.update(numbered(12, 15), 0.0)
    assert taken(following) == ["|14"]


def test_a_node_that_is_behind_is_passed_over() -> None:
    following = Following(numbered(5, 9), 0.0, from_start=False)
    taken(following)
    for window in (numbered(4, 8), numbered(3, 7), numbered(5, 9), numbered(4, 8), numbered(4, 8)):
        following.update(window, 0.0)
        assert taken(following) == []
    following.update(numbered(6, 10), 0.0)
    assert taken(following) == ["9"]


def test_a_publisher_that_counts_anew_is_believed_the_third_time() -> None:
    following = Following(numbered(105, 109), 0.0, from_start=False)
    taken(following)
    for window, new in ((numbered(0, 1), []), (numbered(0, 2), []), (numbered(0, 3), ["|2"]), (numbered(1, 4), ["3"])):
        following.update(window, 0.0)
        assert taken(following) == new


def test_the_end_is_taken_from_a_playlist_that_is_not_older() -> None:
    following = Following(numbered(5, 9), 0.0, from_start=False)
    taken(following)
    following.update(playlist(4, "4", "5", "6", "7", ended=True), 0.0)
    assert not following.ended
    following.update(playlist(5, "5", "6", "7", "8", "9", ended=True), 0.0)
    assert taken(following) == ["9"]
    assert following.ended


def test_a_run_is_broken_where_a_segment_could_not_be_had() -> None:
    following = Following(numbered(0, 1), 0.0, from_start=False)
    taken(following)
    following.update(numbered(0, 4), 0.0)
    following.skip(next_of(following))
    assert taken(following) == ["|2", "3"]


def test_a_discontinuity_begins_a_run_whether_its_count_is_kept_or_not() -> None:
    windows = [(0, ["a"], 0), (0, ["a", DISC, "b"], 0), (1, [DISC, "b", "c"], 0), (2, ["c", DISC, "d", "e"], 1)]
    for count_is_kept in (True, False):
        following, seen = None, []
        for first, lines, count in windows:
            read = playlist(first, *lines, discontinuities=count if count_is_kept else None)
            if following is None:
                following = Following(read, 0.0, from_start=False)
            else:
                following.update(read, 0.0)
            seen += taken(following)
        assert seen == ["|a", "|b", "c", "|d", "e"]


def test_a_discontinuity_whose_tag_has_slid_out_is_told_by_its_count() -> None:
    following = Following(playlist(0, "a", discontinuities=3), 0.0, from_start=False)
    taken(following)
    following.update(playlist(1, "b", discontinuities=4), 0.0)
    following.update(playlist(2, "c", discontinuities=4), 0.0)
    assert taken(following) == ["|c"]


def test_it_is_loaded_again_sooner_where_nothing_was_new() -> None:
    following = Following(numbered(5, 9), 0.0, from_start=False)
    assert following.reload_after_s() == TARGET_S / 2
    following.update(numbered(5, 9), 0.0)
    assert following.reload_after_s() == TARGET_S / 4
    following.update(numbered(6, 10), 0.0)
    assert following.reload_after_s() == TARGET_S / 2
    following.update(numbered(5, 9), 0.0)
    assert following.reload_after_s() == TARGET_S / 4


def test_it_is_loaded_again_sooner_where_that_has_failed() -> None:
    following = Following(numbered(5, 9), 0.0, from_start=False)
    following.reload_failed()
    assert following.reload_after_s() == TARGET_S / 4


def test_a_segment_that_meets_the_last_one_has_skipped_nothing() -> None:
    following = Following(numbered(5, 9), 0.0, from_start=False)
    assert step(following).skipped_s == 0.0
    following.update(playlist(6, "6", "7", "8", "9", DISC, "10"), 0.0)
    assert [step(following).skipped_s for _ in range(2)] == [0.0, 0.0]


def test_what_is_skipped_counts_as_long_as_the_playlist_says() -> None:
    following = Following(numbered(5, 9), 0.0, from_start=False)
    step(following)
    following.update(playlist(9, "#EXTINF:3.5\n#EXT-X-GAP\n9", "#EXTINF:2.25\n10", "11", "12"), 0.0)
    for _ in range(2):
        following.skip(next_of(following))
    assert step(following) == Step(begins_run=True, skipped_s=5.75, behind_s=8.0)
    assert step(following) == Step(begins_run=False, skipped_s=0.0, behind_s=4.0)


def test_nothing_is_skipped_before_the_first() -> None:
    following = Following(playlist(0, GAP, "a"), 0.0, from_start=False)
    following.skip(next_of(following))
    following.update(playlist(0, GAP, "a", "b"), 0.0)
    assert step(following).skipped_s == 0.0


@pytest.mark.parametrize(
    ("dated_s", "skipped_s"),
    [(None, 8.0 + 2 * 4.0), (4.0 + 17.5, 17.5), (4.0 + 13.0, 13.0), (500.0, 16.0), (3.0, 16.0)],
    ids=["no clock", "longer", "shorter", "another clock", "a clock that was set back"],
)
def test_after_a_jump_the_publisher_s_clock_counts_or_the_segments_do(dated_s: float | None, skipped_s: float) -> None:
    following = Following(playlist(8, date(0.0), "8"), 0.0, from_start=False)
    step(following)
    lines = ["11", "12"] + ([] if dated_s is None else [date(dated_s)])
    following.update(playlist(11, *lines, "13"), 20.0)
    assert step(following) == Step(begins_run=True, skipped_s=skipped_s, behind_s=4.0)


def test_a_jump_is_no_longer_than_the_time_that_passed() -> None:
    following = Following(numbered(8, 9), 100.0, from_start=False)
    step(following)
    following.update(numbered(1_780_000_000, 1_780_000_001), 130.0)
    assert step(following).skipped_s == 30.0 + 2 * TARGET_S


def test_how_far_a_segment_is_behind_the_playlist_s_end() -> None:
    following = Following(playlist(0, "a", "#EXTINF:1.5\nb", "c", ended=True), 7.0, from_start=True)
    assert [step(following).behind_s for _ in range(3)] == [9.5, 5.5, 4.0]
    assert following.loaded_s == 7.0


def test_the_playlist_counts_as_loaded_when_one_came_that_is_not_older() -> None:
    following = Following(numbered(5, 9), 1.0, from_start=False)
    following.update(numbered(4, 8), 2.0)
    assert following.loaded_s == 1.0
    following.update(numbered(5, 9), 3.0)
    assert following.loaded_s == 3.0


def test_a_date_that_has_slid_out_is_counted_on() -> None:
    following = Following(playlist(0, date(0.0), "a", "b"), 0.0, from_start=False)
    assert dates(following) == [4.0]
    following.update(playlist(1, "b", "#EXTINF:2.5\nc"), 0.0)
    assert dates(following) == [8.0]
    following.update(playlist(3, GAP, "d", "e"), 0.0)
    assert dates(following) == [10.5, 14.5]
    following.update(playlist(4, "e", date(60.0), "f", "g"), 0.0)
    assert dates(following) == [60.0, 64.0]
    following.update(playlist(7, "h"), 0.0)
    assert dates(following) == [68.0]


@pytest.mark.parametrize(
    "window", [(1, DISC, "b"), (1, "b", DISC, "c"), (2, "c")], ids=["a discontinuity", "one later", "a jump"]
)
def test_a_date_is_not_counted_on_over_a_break(window: tuple[int, str]) -> None:
    following = Following(playlist(0, date(0.0), "a"), 0.0, from_start=False)
    assert dates(following) == [0.0]
    following.update(playlist(*window), 0.0)
    assert dates(following)[-1] is None


def test_a_date_at_the_end_of_the_calendar_ends_there() -> None:
    following = Following(playlist(0, "#EXT-X-PROGRAM-DATE-TIME:9999-12-31T23:59:59Z", "a"), 0.0, from_start=False)
    assert dates(following) != [None]
    following.update(playlist(1, "b"), 0.0)
    assert dates(following) == [None]


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 8), st.booleans()), max_size=12))
def test_whatever_is_served_no_segment_comes_twice_within_a_count(windows: list[tuple[int, int, bool]]) -> None:
    following = Following(numbered(0, 1), 0.0, from_start=False)
    seen = [[int(name.strip("|")) for name in taken(following)]]
    for first, length, ended in windows:
        following.update(playlist(first, *(str(n) for n in range(first, first + length)), ended=ended), 0.0)
        new = taken(following)
        numbers = [int(name.strip("|")) for name in new]
        assert numbers == sorted(set(numbers))
        if new and numbers[0] <= seen[-1][-1]:
            assert new[0].startswith("|")
            assert len(new) == 1
        if new and numbers[0] != seen[-1][-1] + 1:
            assert new[0].startswith("|")
        seen += [numbers] if numbers else []
        assert 0.2 <= following.reload_after_s() <= 5.0


@given(st.lists(st.tuples(st.integers(0, 1 << 40), st.integers(0, 5), st.floats(0, 100)), max_size=12))
def test_whatever_is_served_no_more_is_skipped_than_time_passed(windows: list[tuple[int, int, float]]) -> None:
    following, now_s = Following(numbered(0, 1), 0.0, from_start=False), 0.0
    step(following)
    for first, length, passed_s in windows:
        now_s += passed_s
        following.update(numbered(first, first + length), now_s)
        while (segment := following.next()) is not None:
            assert 0.0 <= following.take(segment).skipped_s <= now_s + (2 * TARGET_S + 5 * 4.0) * len(windows)
