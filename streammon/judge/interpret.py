"""Gives readings their meaning under a policy: text becomes keyword hits and contacts, an allowed code nothing."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from streammon.entities import Detection, KeywordHit, QrReading, Source
from streammon.judge.codes import allowed, kind_of
from streammon.judge.contacts.contact import Contact
from streammon.judge.contacts.finder import CONTACT_LABEL
from streammon.judge.keywords import Match
from streammon.judge.policy import Policy, TextPolicy


def interpret(detections: Iterable[Detection], policy: Policy) -> list[Detection]:
    """The detections that can come to anything under the policy, each with a label; the strongest first.

    They say no more of what was read than the policy's `text` allows.
    """
    found: list[Detection] = []
    for detection in detections:
        if detection.source is Source.TEXT:
            found += _text_hits(detection, policy)
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


def _text_hits(line: Detection, policy: Policy) -> list[Detection]:
    """A detection per list whose words are in the line. Its contacts take in the words that announce them."""
    by_list: dict[tuple[str, str], list[Match]] = defaultdict(list)
    for match in policy.matcher.find(line.text or ""):
        by_list[match.label, match.keywords.name].append(match)
    contacts = policy.contacts.find(line.text or "") if policy.contacts is not None else []
    announced = [key for key in by_list if contacts and key[0] == CONTACT_LABEL]
    words = [match for key in announced for match in by_list.pop(key)]
    found = [_said(line, label, name, matches) for (label, name), matches in by_list.items()]
    if contacts:
        found.append(_said(line, CONTACT_LABEL, contacts[0].kind.value, words, contacts))
    return found


def _said(
    line: Detection, label: str, subject: str, matches: Sequence[Match], contacts: Sequence[Contact] = ()
) -> Detection:
    hits = [match.hit for match in matches] + [_hit(contact) for contact in contacts]
    return replace(
        line,
        label=label,
        subject=subject,
        keywords=tuple(sorted(hits, key=lambda hit: hit.span)),
        severity=max((match.severity for match in matches if match.severity is not None), default=None),
    )


def _hit(contact: Contact) -> KeywordHit:
    return KeywordHit(word=contact.value, list="contacts", span=contact.span)


def _code(detection: Detection, qr: QrReading, policy: Policy) -> list[Detection]:
    if allowed(qr.payload, policy.qr_allow_domains, policy.qr_deny_domains):
        return []
    return [replace(detection, qr=replace(qr, kind=kind_of(qr.payload)))]
