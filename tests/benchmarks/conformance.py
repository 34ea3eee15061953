"""How much third-party HLS and media is read right: playlists by their truth, media frame by frame. `make conformance`.

`EVAL_DIR` names the folder of evaluation material; without it every figure is null. A line per failure, the same
figure for the bare m3u8 package, and last a line of JSON: {playlists_ok, playlists_n, media_exact, media_n}.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import datetime
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Event
from typing import Any, cast
from urllib.parse import urljoin

import m3u8.parser
from av.container import InputContainer

from streammon.errors import SourceError, SourceNotMedia
from streammon.ingest.hls.playlist import parse_playlist
from streammon.ingest.hls.playlist_entities import MasterPlaylist, Segment
from streammon.ingest.media.ffmpeg_source import FileSource

BASE = "https://base.example/path/list.m3u8"
MEDIA_KINDS = ("media", "clip", "segment")
LONGEST_FILE_S = 300.0
"""A file that takes longer counts as a hang. The longest of the set has 21,766 pictures of 3840x2160."""

Item = Mapping[str, Any]
Reading = dict[str, Any]


def main() -> None:
    folder = os.environ.get("EVAL_DIR")
    if not folder:
        print("EVAL_DIR is not set: nothing is measured")
        print(json.dumps({"playlists_ok": None, "playlists_n": 0, "media_exact": None, "media_n": 0}))
        return
    topic = Path(folder) / "hls_video"
    items = json.loads((topic / "manifest.json").read_text(encoding="utf-8"))["items"]
    playlists = [item for item in items if item["file"].endswith(".m3u8")]
    media = [item for item in items if item["kind"] in MEDIA_KINDS]
    peer_ok = measure_playlists(topic, playlists, by_m3u8, f"m3u8 {version('m3u8')}, the peer")
    playlists_ok = measure_playlists(topic, playlists, by_streammon, "streammon")
    media_exact = measure_media(topic, media)
    print(f"playlists read or refused by a named error: m3u8 {peer_ok}, streammon {playlists_ok}, of {len(playlists)}")
    figures = {"playlists_ok": playlists_ok, "playlists_n": len(playlists)}
    print(json.dumps({**figures, "media_exact": media_exact, "media_n": len(media)}))


def measure_playlists(topic: Path, items: list[Item], read: Callable[[str], Reading], name: str) -> int:
    """How many playlists `read` gives as their truth has them, or refuses by SourceNotMedia; says which not.

    Of one without a truth, the addresses must be those that follow an EXTINF or EXT-X-STREAM-INF.
    """
    print(f"-- playlists by {name}")
    ok, refused = 0, 0
    for item in items:
        text = (topic / item["file"]).read_text(encoding="utf-8")
        try:
            faults = list(differences(read(text), item["truth"] or {"announced": announced(text)}))
        except SourceNotMedia as error:
            print(f"   refused {item['file']}: {error}")
            ok, refused = ok + 1, refused + 1
            continue
        except Exception as error:  # noqa: BLE001 - any crash of a reader is a failure to count
            faults = [f"raises {type(error).__name__}: {error}"]
        ok += not faults
        if faults:
            print(f"   FAILED {item['file']}: {faults[0]}{f' and {len(faults) - 1} more' if faults[1:] else ''}")
    print(f"   {ok} of {len(items)}, {refused} of them refused")
    return ok


def by_m3u8(text: str) -> Reading:
    """What the m3u8 package reads, of that what the set's own scorer compares."""
    read = m3u8.parser.parse(text)  # type: ignore[no-untyped-call]
    segments = read["segments"]
    return {
        "mediaSequence": read["media_sequence"],
        "targetDuration": read.get("targetduration"),
        "endList": read["is_endlist"],
        "discontinuityStarts": [at for at, segment in enumerate(segments) if segment.get("discontinuity")],
        "uris": [segment.get("uri") for segment in segments],
        "durations": [segment.get("duration") for segment in segments],
        "playlists": [variant["uri"] for variant in read["playlists"]],
    }


def by_streammon(text: str) -> Reading:
    """What our reader makes of it; beyond the peer's, also ranges, clocks, keys, init sections and stretches."""
    read = parse_playlist(text, BASE)
    if isinstance(read, MasterPlaylist):
        return {
            "uris": [],
            "playlists": [variant.uri for variant in read.variants],
            "bandwidths": [variant.bandwidth for variant in read.variants],
            "resolutions": [(variant.width, variant.height) for variant in read.variants],
        }
    stretches = [read.discontinuity_sequence, *(segment.discontinuity_sequence for segment in read.segments)]
    return {
        "mediaSequence": read.media_sequence,
        "targetDuration": read.target_duration_s,
        "endList": read.ended,
        "discontinuityStarts": [at for at, _ in enumerate(read.segments) if stretches[at] != stretches[at + 1]],
        "uris": [segment.uri for segment in read.segments],
        "durations": [segment.duration_s for segment in read.segments],
        "playlists": [],
        "details": [_details(segment) for segment in read.segments],
    }


def _details(segment: Segment) -> Reading:
    part, key, init = segment.byte_range, segment.key, segment.init
    return {
        "byterange": {"length": part.length, "offset": part.offset} if part is not None else None,
        "programDateTime": segment.program_at,
        "timeline": segment.discontinuity_sequence,
        "key": (key.uri, key.iv) if key is not None else None,
        "map": (init.uri, init.key.uri if init.key is not None else None) if init is not None else None,
    }


def announced(text: str) -> list[str]:
    """The addresses that stand after a tag which promises one, in their order."""
    found: list[str] = []
    promised = False
    for line in (line.strip() for line in text.splitlines()):
        if line.startswith(("#EXTINF", "#EXT-X-STREAM-INF")):
            promised = True
        elif promised and line and not line.startswith("#"):
            found.append(line)
            promised = False
    return found


def differences(read: Reading, truth: Item) -> Iterator[str]:
    """Where a reading is not the truth, of what both of them have, by the rules of the set's own scorer."""
    if "announced" in truth:
        got = read["uris"] + read["playlists"]
        if [_full(uri) for uri in got] != [_full(uri) for uri in truth["announced"]]:
            yield f"addresses: want {str(truth['announced'])[:120]}, got {str(got)[:120]}"
        return
    for name, wanted in _wanted(truth).items():
        if name not in read:
            continue
        got = read[name]
        if name == "durations":
            same = len(got) == len(wanted) and all(
                abs((a or 0) - (b or 0)) < 0.02 for a, b in zip(got, wanted, strict=True)
            )
        elif name in {"uris", "playlists"}:
            # Ours are absolute, the truth's and the peer's as they are written.
            same = [_full(uri) for uri in got] == [_full(uri) for uri in wanted]
        else:
            same = got == wanted
        if not same:
            yield f"{name}: want {str(wanted)[:120]}, got {str(got)[:120]}"
    for at, (got, segment) in enumerate(zip(read.get("details", ()), truth["segments"], strict=False)):
        yield from (f"segment {at}: {fault}" for fault in _detail_differences(got, segment))


def _wanted(truth: Item) -> Reading:
    wanted = {
        name: truth[name]
        for name in ("mediaSequence", "targetDuration", "endList", "discontinuityStarts")
        if name in truth
    }
    sizes = [variant["attributes"].get("RESOLUTION", {}) for variant in truth["playlists"]]
    return {
        **wanted,
        "uris": [segment.get("uri") for segment in truth["segments"]],
        "durations": [segment.get("duration") for segment in truth["segments"]],
        "playlists": [variant["uri"] for variant in truth["playlists"]],
        "bandwidths": [variant["attributes"].get("BANDWIDTH") for variant in truth["playlists"]],
        "resolutions": [(size.get("width"), size.get("height")) for size in sizes],
    }


def _detail_differences(got: Reading, segment: Item) -> Iterator[str]:
    key, init = segment.get("key"), segment.get("map")
    iv = b"".join(word.to_bytes(4, "big") for word in key["iv"]) if key and "iv" in key else None
    wanted = {
        "byterange": segment.get("byterange"),
        "timeline": segment["timeline"],
        "key": (key["uri"], iv) if key else None,
        "map": (_full(init["uri"]), init["key"]["uri"] if "key" in init else None) if init else None,
    }
    yield from (f"{name}: want {want}, got {got[name]}" for name, want in wanted.items() if got[name] != want)
    clock: datetime | None = got["programDateTime"]
    clock_ms = clock.timestamp() * 1000 if clock is not None else None
    want_ms = segment.get("programDateTime")
    if (clock_ms is None) != (want_ms is None) or (want_ms and clock_ms and abs(clock_ms - want_ms) > 1):
        yield f"programDateTime: want {want_ms}, got {clock_ms}"


def _full(uri: str | None) -> str | None:
    return urljoin(BASE, uri) if uri is not None else None


def measure_media(topic: Path, items: list[Item]) -> int:
    """How many files decode to the reference's pictures, or are refused cleanly where it has none; says which not."""
    print("-- media by streammon's source")
    exact, results, slowest_s, slowest = 0, Counter[str](), 0.0, ""
    for item in items:
        began_s = time.monotonic()
        result = decode_apart(topic / item["file"])
        took_s = time.monotonic() - began_s
        if took_s > slowest_s:
            slowest_s, slowest = took_s, item["file"]
        fault = media_fault(result, item["ffmpeg"])
        exact += fault is None
        results["refused" if "refused" in result else "decoded" if "frames" in result else "crashed or hung"] += 1
        if fault is not None:
            print(f"   FAILED {item['file']}: {fault}")
    print(f"   {exact} of {len(items)} as the reference; {dict(results)}; slowest {slowest_s:.1f} s, {slowest}")
    return exact


def media_fault(result: Reading, reference: Item) -> str | None:
    """What is wrong with what came of a file, or None."""
    if "failed" in result:
        return str(result["failed"])
    if not reference["ok"]:
        fine = "refused" in result or result["frames"] == 0
        return None if fine else f"{result['frames']} pictures where the reference has none"
    if "refused" in result:
        return f"refused, where the reference has {reference['frames']} pictures: {result['refused']}"
    got = (result["frames"], {result["width"], result["height"]})
    wanted = (reference["frames"], {reference["width"], reference["height"]})
    return None if got == wanted else f"want {wanted}, got {got}, {result['errors']} packets with errors"


def decode_apart(file: Path) -> Reading:
    """What `_decode` makes of a file, in a process of its own, so that a crash or a hang is a result like others."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=_decode_into, args=(file, there), daemon=True)
    child.start()
    there.close()
    try:
        if not here.poll(LONGEST_FILE_S):
            return {"failed": f"not done after {LONGEST_FILE_S:g} s"}
        return cast("Reading", here.recv())
    except EOFError:
        child.join(5.0)
        return {"failed": f"the process died, exit code {child.exitcode}"}
    finally:
        child.kill()
        child.join()
        here.close()


def _decode_into(file: Path, answer: Connection) -> None:
    try:
        answer.send(_decode(file))
    except SourceError as error:
        answer.send({"refused": f"{type(error).__name__}: {error}"})
    except Exception as error:  # noqa: BLE001 - an error that is not ours is what this looks for
        answer.send({"failed": f"raises {type(error).__name__}: {error}"})


def _decode(file: Path) -> Reading:
    frames, errors, size = 0, 0, (0, 0)
    with closing(FileSource(str(file), Event())) as source:
        stream = next(source.runs()).stream
        decoder = stream.codec_context
        # The run's own packets() would hold a file's packets back to its own pace.
        container = cast("InputContainer", stream.container)
        for packet in container.demux(stream):
            try:
                pictures = decoder.decode(packet if packet.size > 0 else None)
            except (OSError, ValueError):
                errors += 1
                continue
            for picture in pictures:
                size = size if frames else (picture.width, picture.height)
                frames += 1
        return {"frames": frames, "width": size[0], "height": size[1], "errors": errors}


if __name__ == "__main__":
    main()
