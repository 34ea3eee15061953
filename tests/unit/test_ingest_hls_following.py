"""Where a live playlist is followed from reload to reload: each segment once, in order, and every break in the run."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streammon.ingest.hls import Following
from streammon.ingest.playlist import parse_playlist
from streammon.ingest.playlist_entities import MediaPlaylist

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
        names.append(f"|{segment.uri}" if following.take_break(segment) else segment.uri)
    return names


DISC = "#EXT-X-DISCONTINUITY"


def test_it_begins_with_the_newest_segment() -> None:
    assert taken(Following(numbered(5, 9), from_start=False)) == ["|8"]


def test_a_stream_that_is_over_is_taken_from_its_beginning() -> None:
    following = Following(playlist(0, "a", DISC, "b", "c", ended=True), from_start=True)
    assert taken(following) == ["|a", "|b", "c"]
    assert following.ended


def test_what_is_new_is_taken_once() -> None:
    following = Following(numbered(5, 9), from_start=False)
    assert taken(following) == ["|8"]
    for window, new in ((numbered(5, 9), []), (numbered(6, 10), ["9"]), (numbered(9, 13), ["10", "11", "12"])):
        following.update(window)
        assert taken(following) == new


def test_an_empty_playlist_begins_later() -> None:
    following = Following(playlist(7), from_start=False)
    assert taken(following) == []
    following.update(playlist(7))
    following.update(playlist(7, "a", "b"))
    assert taken(following) == ["|a", "b"]


def test_segments_that_were_missed_are_not_made_up_for() -> None:
    following = Following(numbered(5, 9), from_start=False)
    taken(following)
    following.update(numbered(9, 11))
    assert taken(following) == ["9", "10"]
    following.update(numbered(12, 15))
    assert taken(following) == ["|14"]


def test_a_node_that_is_behind_is_passed_over() -> None:
    following = Following(numbered(5, 9), from_start=False)
    taken(following)
    for window in (numbered(4, 8), numbered(3, 7), numbered(5, 9), numbered(4, 8), numbered(4, 8)):
        following.update(window)
        assert taken(following) == []
    following.update(numbered(6, 10))
    assert taken(following) == ["9"]


def test_a_publisher_that_counts_anew_is_believed_the_third_time() -> None:
    following = Following(numbered(105, 109), from_start=False)
    taken(following)
    for window, new in ((numbered(0, 1), []), (numbered(0, 2), []), (numbered(0, 3), ["|2"]), (numbered(1, 4), ["3"])):
        following.update(window)
        assert taken(following) == new


def test_the_end_is_taken_from_a_playlist_that_is_not_older() -> None:
    following = Following(numbered(5, 9), from_start=False)
    taken(following)
    following.update(playlist(4, "4", "5", "6", "7", ended=True))
    assert not following.ended
    following.update(playlist(5, "5", "6", "7", "8", "9", ended=True))
    assert taken(following) == ["9"]
    assert following.ended


def test_a_run_is_broken_where_a_segment_could_not_be_had() -> None:
    following = Following(numbered(0, 1), from_start=False)
    taken(following)
    following.update(numbered(0, 4))
    assert following.next() is not None
    following.break_run()
    assert taken(following) == ["|2", "3"]


def test_a_discontinuity_begins_a_run_whether_its_count_is_kept_or_not() -> None:
    windows = [(0, ["a"], 0), (0, ["a", DISC, "b"], 0), (1, [DISC, "b", "c"], 0), (2, ["c", DISC, "d", "e"], 1)]
    for count_is_kept in (True, False):
        following, seen = None, []
        for first, lines, count in windows:
            read = playlist(first, *lines, discontinuities=count if count_is_kept else None)
            if following is None:
                following = Following(read, from_start=False)
            else:
                following.update(read)
            seen += taken(following)
        assert seen == ["|a", "|b", "c", "|d", "e"]


def test_a_discontinuity_whose_tag_has_slid_out_is_told_by_its_count() -> None:
    following = Following(playlist(0, "a", discontinuities=3), from_start=False)
    taken(following)
    following.update(playlist(1, "b", discontinuities=4))
    following.update(playlist(2, "c", discontinuities=4))
    assert taken(following) == ["|c"]


def test_it_is_loaded_again_sooner_where_nothing_was_new() -> None:
    following = Following(numbered(5, 9), from_start=False)
    assert following.reload_after_s() == TARGET_S / 2
    following.update(numbered(5, 9))
    assert following.reload_after_s() == TARGET_S / 4
    following.update(numbered(6, 10))
    assert following.reload_after_s() == TARGET_S / 2
    following.update(numbered(5, 9))
    assert following.reload_after_s() == TARGET_S / 4


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 8), st.booleans()), max_size=12))
def test_whatever_is_served_no_segment_comes_twice_within_a_count(windows: list[tuple[int, int, bool]]) -> None:
    following = Following(numbered(0, 1), from_start=False)
    seen = [[int(name.strip("|")) for name in taken(following)]]
    for first, length, ended in windows:
        following.update(playlist(first, *(str(n) for n in range(first, first + length)), ended=ended))
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
