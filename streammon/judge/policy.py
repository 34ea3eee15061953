"""A platform's moderation policy: read from YAML, checked whole, resolved to one rule per label."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from streammon.config import FilePath, Seconds, Section, line_of, load_yaml
from streammon.errors import ConfigError, Problem
from streammon.events import Verdict
from streammon.judge.keywords import KeywordMatcher, read_keyword_list
from streammon.taxonomy import load_taxonomy

_CONFIRM = re.compile(r"(\d{1,9})\s+in\s+(\S+)", re.ASCII)
_DOMAIN = re.compile(r"[\w-]+(?:\.[\w-]+)*")


class Confirm(Section):
    """How many fresh hits, within how many seconds, make an incident. Written `3 in 10s`."""

    hits: int = Field(ge=1, le=100)
    within: Seconds = Field(gt=0, le=3600)

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        match = _CONFIRM.fullmatch(value.strip())
        if match is None:
            raise ValueError("should be hits in a time, such as `3 in 10s`")
        return {"hits": int(match[1]), "within": match[2]}

    def __str__(self) -> str:
        return f"{self.hits} in {self.within:g}s"


def _known_label(name: str) -> str:
    if not load_taxonomy().expand(name):
        raise ValueError("is no label, group or category of the taxonomy; `streammon labels` lists them")
    return name


def _keyword_file(path: Path, info: ValidationInfo) -> Path:
    if not path.is_file():
        raise ValueError("no such file; the path is relative to the policy's folder")
    try:
        read_keyword_list(path, "")
    except ConfigError as error:
        (info.context or {})["others"] += error.problems
    return path


def ascii_domain(name: str) -> str:
    """A domain as DNS knows it: lower case, other scripts' labels as `xn--…` (RFC 3492). Maps no letter to another."""
    labels = name.lower().split(".")
    return ".".join(x if x.isascii() else f"xn--{x.encode('punycode').decode()}" for x in labels)


def _domain(name: str) -> str:
    if _DOMAIN.fullmatch(name) is None:
        raise ValueError("should be a domain such as example.com, without scheme, port, path or wildcard")
    return ascii_domain(name)


# Strict: `review: true` is a misunderstanding, not a threshold of 1.
Threshold = Annotated[float, Field(ge=0.0, le=1.0, strict=True)]
LabelName = Annotated[str, AfterValidator(_known_label)]


def _leaf_label(name: str) -> str:
    if name not in load_taxonomy().labels:
        raise ValueError("should be one label of the taxonomy, not a category; `streammon labels` lists them")
    return name


class RuleSpec(Section):
    """What a policy says of a label, group or category. What it leaves out comes from the level above."""

    review: Threshold | None = None
    block: Threshold | None = None
    confirm: Confirm | None = None
    clear_after: Seconds | None = Field(default=None, gt=0)
    severity: int | None = Field(default=None, ge=0, le=5, strict=True)
    actions: tuple[str, ...] | None = None
    store_evidence: bool | None = None

    @model_validator(mode="after")
    def _ordered(self) -> RuleSpec:
        if self.review is not None and self.block is not None and self.review > self.block:
            raise ValueError("`review` should not be above `block`: what is sure enough to block is also reviewed")
        return self


class KeywordFile(Section):
    """A keyword list and the label that its words mean."""

    file: Annotated[FilePath, AfterValidator(_keyword_file)]
    label: Annotated[str, AfterValidator(_leaf_label)]


class QrSpec(Section):
    """Which codes are no violation: those that lead to one of these domains or below it."""

    allow_domains: tuple[Annotated[str, AfterValidator(_domain)], ...] = ()


class PolicyFile(Section):
    """A policy as it is written."""

    version: Literal[1]
    id: str = Field(min_length=1, max_length=100)
    defaults: RuleSpec = RuleSpec()
    labels: dict[LabelName, RuleSpec]
    keywords: tuple[KeywordFile, ...] = ()
    qr: QrSpec = QrSpec()
    blind_after: Seconds = Field(
        default=60.0, gt=0, description="an incident ends when nobody could look for this long"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What holds for one label. A threshold is None where that verdict is never given."""

    review: float | None
    block: float | None
    confirm: Confirm
    clear_after_s: float
    severity: int
    actions: tuple[str, ...]
    store_evidence: bool

    def verdict(self, score: float) -> Verdict:
        """The verdict that one score deserves."""
        if self.block is not None and score >= self.block:
            return Verdict.BLOCK
        if self.review is not None and score >= self.review:
            return Verdict.REVIEW
        return Verdict.PASS


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A policy, ready to judge by. `version` is a digest of the policy's and its keyword lists' text."""

    id: str
    version: str
    rules: dict[str, Rule]
    matcher: KeywordMatcher
    qr_allow_domains: tuple[str, ...]
    blind_after_s: float


# What holds where a policy says nothing.
_FALLBACK = RuleSpec(
    confirm=Confirm(hits=1, within=10.0), clear_after=10.0, severity=3, actions=(), store_evidence=True
)
# Pictures of minors in sexual context: never kept unless a policy says so of the label itself, not of its category.
_NEVER_STORED = frozenset({"pornography.child", "minors.soft_porn"})


def load_policy(path: Path) -> Policy:
    """The policy in a file. Raises ConfigError with every problem of it and of its keyword lists."""
    problems: list[Problem] = []
    written = load_yaml(path, PolicyFile, problems)
    rules = _resolve(written)
    problems = [*_unheard_lists(path, written, rules), *_reversed_thresholds(path, written, rules), *problems]
    if problems:
        raise ConfigError(problems)
    digest = hashlib.sha256()
    for file in (path, *(entry.file for entry in written.keywords)):
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return Policy(
        id=written.id,
        version=digest.hexdigest()[:12],
        rules=rules,
        matcher=KeywordMatcher([read_keyword_list(entry.file, entry.label) for entry in written.keywords]),
        qr_allow_domains=written.qr.allow_domains,
        blind_after_s=written.blind_after,
    )


def _unheard_lists(path: Path, written: PolicyFile, rules: Mapping[str, Rule]) -> list[Problem]:
    unheard = [(index, entry.label) for index, entry in enumerate(written.keywords) if entry.label not in rules]
    return [
        Problem(
            file=str(path),
            line=line_of(path, ("keywords", index, "label")),
            key=f"keywords[{index}].label",
            reason=f"{label} has no threshold under `labels`, so its words would never be reported",
        )
        for index, label in unheard
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
            rule = _merge(label, written.labels.get(label), [*levels, written.defaults, _FALLBACK])
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
        said.update({key: value for key in RuleSpec.model_fields if (value := getattr(spec, key)) is not None})
    asked_for = own is not None and own.store_evidence is True
    return Rule(
        review=said.get("review"),
        block=said.get("block"),
        confirm=said["confirm"],
        clear_after_s=said["clear_after"],
        severity=said["severity"],
        actions=said["actions"],
        store_evidence=said["store_evidence"] and (asked_for or label not in _NEVER_STORED),
    )
