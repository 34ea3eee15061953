"""Gives readings their meaning under a policy: text becomes keyword hits, an allowed code becomes nothing."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from streammon.entities import Detection, QrReading, Source
from streammon.judge.keywords import Match
from streammon.judge.policy import Policy, TextPolicy
from streammon.judge.policy_file import ascii_domain

# Strict on purpose: what browsers and scanners read differently (user@host, backslashes, escapes in the host, several
# lines) is not an address that anybody should be able to have allowed.
_ADDRESS = re.compile(r"https?://([\w.-]+)(?::[0-9]*)?(?:[/?#]\S*)?", re.IGNORECASE)


def interpret(detections: Iterable[Detection], policy: Policy) -> list[Detection]:
    """The detections that can come to anything under the policy, each with a label; the strongest first.

    They say no more of what was read than the policy's `text` allows.
    """
    found: list[Detection] = []
    for detection in detections:
        if detection.source is Source.TEXT:
            found += _keyword_hits(detection, policy)
        elif detection.qr is not None:
            found += _code(detection, detection.qr, policy)
        else:
            found.append(detection)
    judged = [
        redacted(detection, policy.text)
        for detection in found
        if policy.watches(detection.label) and not any(region.covers(detection) for region in policy.regions)
    ]
    return sorted(judged, key=lambda detection: detection.score, reverse=True)


def redacted(detection: Detection, text: TextPolicy) -> Detection:
    """The detection with as much of what was read as `text` allows. A code stays told apart by a digest."""
    if text is TextPolicy.FULL:
        return detection
    if text is TextPolicy.HITS:
        return replace(detection, text=None)
    subject = detection.subject
    if detection.qr is not None and subject is not None:
        subject = f"sha256:{hashlib.sha256(subject.encode(errors='surrogatepass')).hexdigest()[:32]}"
    return replace(detection, text=None, keywords=(), qr=None, chat=None, subject=subject)


def _keyword_hits(line: Detection, policy: Policy) -> list[Detection]:
    by_list: dict[tuple[str, str], list[Match]] = defaultdict(list)
    for match in policy.matcher.find(line.text or ""):
        by_list[match.keywords.label, match.keywords.name].append(match)
    return [
        replace(line, label=label, subject=name, keywords=tuple(match.hit for match in matches))
        for (label, name), matches in by_list.items()
    ]


def _code(detection: Detection, qr: QrReading, policy: Policy) -> list[Detection]:
    allowed = _within(qr.payload, policy.qr_allow_domains)
    return [] if allowed else [detection]


def _within(payload: str, domains: tuple[str, ...]) -> bool:
    """Whether a payload is a web address on one of the domains or below it."""
    address = _ADDRESS.fullmatch(payload.strip())
    if address is None:
        return False
    host = ascii_domain(unicodedata.normalize("NFKC", address[1]).rstrip("."))
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)
