"""Reads a policy file, checks it whole, and resolves it to one rule per label."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from streammon.config import line_of, load_yaml
from streammon.entities import Box
from streammon.errors import ConfigError, Problem
from streammon.judge.contacts.finder import CONTACT_LABEL, ContactFinder
from streammon.judge.keywords import KeywordList, KeywordMatcher, read_keyword_list
from streammon.judge.policy import (
    NEVER_STORED,
    Combination,
    Confirm,
    Escalation,
    Exemption,
    Part,
    Policy,
    Region,
    Rule,
)
from streammon.judge.policy_file import (
    CombineSpec,
    ContactsSpec,
    EscalateSpec,
    ExemptSpec,
    PolicyFile,
    RegionSpec,
    RuleSpec,
)
from streammon.taxonomy import load_taxonomy


def load_policy(path: Path) -> Policy:
    """The policy in a file. Raises ConfigError with every problem of it and of its keyword lists."""
    problems: list[Problem] = []
    written = load_yaml(path, PolicyFile, problems)
    rules = _resolve(written)
    problems = [*_unheard(path, written, rules), *_reversed_thresholds(path, written, rules), *problems]
    if problems:
        raise ConfigError(problems)
    lists = [read_keyword_list(entry.file, entry.label) for entry in written.keywords]
    if problems := _unheard_words(written, lists, rules):
        raise ConfigError(problems)
    allow = written.text_matching.allow
    files = (path, *dict.fromkeys((*(entry.file for entry in written.keywords), *allow)))
    return Policy(
        id=written.id,
        version=_digest(files),
        rules=rules,
        matcher=KeywordMatcher(
            lists,
            allowed=[word for file in allow for word in read_keyword_list(file, "").words],
            off=written.text_matching.off,
        ),
        qr_allow_domains=written.qr.allow_domains,
        qr_deny_domains=written.qr.deny_domains,
        contacts=_contacts(written.contacts),
        blind_after_s=written.blind_after,
        grace_s=written.grace,
        text=written.text,
        combinations=tuple(_combination(spec) for spec in written.combine),
        regions=tuple(_region(spec) for spec in written.ignore_regions),
        exemptions=tuple(_exemption(spec) for spec in written.exempt),
        files=files,
    )


def _digest(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:12]


def _unheard(path: Path, written: PolicyFile, rules: Mapping[str, Rule]) -> list[Problem]:
    """What is looked for under a label that the policy never reports."""
    lists = [("keywords", index, entry.label, "its words") for index, entry in enumerate(written.keywords)]
    combined = [("combine", index, entry.label, "the combination") for index, entry in enumerate(written.combine)]
    problems = []
    if written.contacts.enabled and CONTACT_LABEL not in rules:
        reason = f"{CONTACT_LABEL} has no threshold under `labels`, so contacts would never be reported"
        line = line_of(path, ("contacts", "enabled"))
        problems.append(Problem(file=str(path), line=line, key="contacts.enabled", reason=reason))
    return problems + [
        Problem(
            file=str(path),
            line=line_of(path, (section, index, "label")),
            key=f"{section}[{index}].label",
            reason=f"{label} has no threshold under `labels`, so {what} would never be reported",
        )
        for section, index, label, what in (*combined, *lists)
        if label not in rules
    ]


def _unheard_words(written: PolicyFile, lists: Iterable[KeywordList], rules: Mapping[str, Rule]) -> list[Problem]:
    """The labels that lists give some of their words, and that the policy never reports."""
    return [
        Problem(
            file=str(entry.file),
            line=1,
            key="",
            reason=f"gives words the label {label}, which has no threshold under `labels` of the policy {written.id}",
        )
        for entry, keywords in zip(written.keywords, lists, strict=True)
        for label in sorted({said.label for said in keywords.said.values() if said.label is not None} - rules.keys())
    ]


def _reversed_thresholds(path: Path, written: PolicyFile, rules: Mapping[str, Rule]) -> list[Problem]:
    """Thresholds that are in order where they stand, but not once a label has inherited the other one."""
    found: dict[str, Problem] = {}
    for label, rule in rules.items():
        if rule.review is None or rule.block is None or rule.review <= rule.block:
            continue
        name = next(name for name in _levels(label) if name in written.labels)
        reason = f"gives {label} a `review` of {rule.review:g} above its `block` of {rule.block:g} (one is inherited)"
        line = line_of(path, ("labels", name))
        found.setdefault(name, Problem(file=str(path), line=line, key=f"labels.{name}", reason=reason))
    return list(found.values())


def _resolve(written: PolicyFile) -> dict[str, Rule]:
    """The rule of every label that the policy gives a threshold, the most specific name's word first."""
    rules: dict[str, Rule] = {}
    for label in load_taxonomy().labels:
        levels = [written.labels[name] for name in _levels(label) if name in written.labels]
        if levels:
            rule = _merge(label, written.labels.get(label), [*levels, written.defaults])
            if rule.review is not None or rule.block is not None:
                rules[label] = rule
    return rules


def _levels(label: str) -> list[str]:
    """`violence.weapon.gun`, `violence.weapon`, `violence`."""
    parts = label.split(".")
    return [".".join(parts[:count]) for count in range(len(parts), 0, -1)]


def _merge(label: str, own: RuleSpec | None, specs: list[RuleSpec]) -> Rule:
    """What `specs` say, the first before the others; `own` is what stands under the label's own name."""
    said: dict[str, Any] = {}
    for spec in reversed(specs):
        said.update({key: getattr(spec, key) for key in spec.model_fields_set})
    # Not checked again: thresholds that are out of order only now are told with their place.
    whole = RuleSpec.model_construct(**said)
    asked_for = own is not None and "store_evidence" in own.model_fields_set and own.store_evidence
    return Rule(
        review=whole.review,
        block=whole.block,
        confirm=Confirm(hits=whole.confirm.count, within_s=whole.confirm.within),
        clear_after_s=whole.clear_after,
        severity=whole.severity,
        actions=whole.actions,
        store_evidence=whole.store_evidence and (asked_for or label not in NEVER_STORED),
        cooldown_s=whole.cooldown,
        escalation=_escalation(whole.escalate),
    )


def _escalation(spec: EscalateSpec | None) -> Escalation | None:
    if spec is None:
        return None
    return Escalation(
        incidents=spec.at.count,
        within_s=spec.at.within,
        to_block=spec.verdict is not None,
        actions=spec.actions,
    )


def _contacts(spec: ContactsSpec) -> ContactFinder | None:
    if not spec.enabled:
        return None
    return ContactFinder(regions=spec.regions, kinds=frozenset(spec.kinds), allow_domains=spec.allow_domains)


def _combination(spec: CombineSpec) -> Combination:
    parts = (Part(labels=_expand(part.labels) - {spec.label}, at_least=part.at_least) for part in spec.parts)
    return Combination(label=spec.label, parts=tuple(parts))


def _region(spec: RegionSpec) -> Region:
    box = Box(x=spec.x, y=spec.y, w=spec.w, h=spec.h)
    return Region(box=box, labels=None if spec.labels is None else _expand(spec.labels))


def _exemption(spec: ExemptSpec) -> Exemption:
    return Exemption(
        rooms=frozenset(spec.rooms),
        tenants=frozenset(spec.tenants),
        labels=None if spec.labels is None else _expand(spec.labels),
    )


def _expand(names: Iterable[str]) -> frozenset[str]:
    return frozenset(label for name in names for label in load_taxonomy().expand(name))
