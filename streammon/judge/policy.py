"""A platform's moderation policy: read from YAML, checked whole, resolved to one rule per label."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from streammon.config import Seconds, Section, load_yaml
from streammon.errors import ConfigError, Problem
from streammon.events import Verdict
from streammon.judge.keywords import KeywordMatcher, read_keyword_list
from streammon.taxonomy import load_taxonomy

_CONFIRM = re.compile(r"(\d+)\s+in\s+(\S+)")


class Confirm(Section):
    """How many fresh hits, within how many seconds, make an incident. Written `3 in 10s`."""

    hits: int = Field(ge=1, le=100)
    within: Seconds = Field(gt=0)

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


def _existing_file(value: Path, info: ValidationInfo) -> Path:
    path = Path((info.context or {}).get("base", ".")) / value
    if not path.is_file():
        raise ValueError("no such file; the path is relative to the policy's folder")
    return path


Threshold = Annotated[float, Field(ge=0.0, le=1.0)]
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
    severity: int | None = Field(default=None, ge=0, le=5)
    actions: tuple[str, ...] | None = None
    store_evidence: bool | None = None

    @model_validator(mode="after")
    def _ordered(self) -> RuleSpec:
        if self.review is not None and self.block is not None and self.review > self.block:
            raise ValueError("`review` should not be above `block`: what is sure enough to block is also reviewed")
        return self


class KeywordFile(Section):
    """A keyword list and the label that its words mean."""

    file: Annotated[Path, AfterValidator(_existing_file)]
    label: Annotated[str, AfterValidator(_leaf_label)]


class QrSpec(Section):
    """Which codes are no violation: those that lead to one of these domains or below it."""

    allow_domains: tuple[Annotated[str, BeforeValidator(str)], ...] = ()


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


# What holds where a policy says nothing. Pictures of minors in sexual context are never kept unless a policy says so.
_FALLBACK = RuleSpec(
    confirm=Confirm(hits=1, within=10.0), clear_after=10.0, severity=3, actions=(), store_evidence=True
)
_NEVER_STORED = frozenset({"pornography.child", "minors.soft_porn"})


def load_policy(path: Path) -> Policy:
    """The policy in a file. Raises ConfigError with every problem of it and of its keyword lists."""
    written = load_yaml(path, PolicyFile)
    rules = _resolve(written)
    problems = []
    lists = []
    for index, entry in enumerate(written.keywords):
        if entry.label not in rules:
            reason = f"{entry.label} has no threshold under `labels`, so its words would never be reported"
            problems.append(Problem(file=str(path), line=1, key=f"keywords[{index}].label", reason=reason))
        try:
            lists.append(read_keyword_list(entry.file, entry.label))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    digest = hashlib.sha256(path.read_bytes())
    for entry in written.keywords:
        digest.update(entry.file.read_bytes())
    return Policy(
        id=written.id,
        version=digest.hexdigest()[:12],
        rules=rules,
        matcher=KeywordMatcher(lists),
        qr_allow_domains=tuple(domain.lower() for domain in written.qr.allow_domains),
        blind_after_s=written.blind_after,
    )


def _resolve(written: PolicyFile) -> dict[str, Rule]:
    """The rule of every label that the policy gives a threshold, the most specific name's word first."""
    rules = {}
    for label in load_taxonomy().labels:
        levels = [written.labels[name] for name in _levels(label) if name in written.labels]
        if levels:
            rule = _merge(label, [*levels, written.defaults, _FALLBACK])
            if rule.review is not None or rule.block is not None:
                rules[label] = rule
    return rules


def _levels(label: str) -> list[str]:
    """`violence.weapon.gun`, `violence.weapon`, `violence`."""
    parts = label.split(".")
    return [".".join(parts[:count]) for count in range(len(parts), 0, -1)]


def _merge(label: str, specs: list[RuleSpec]) -> Rule:
    said: dict[str, Any] = {}
    for spec in reversed(specs):
        said.update({key: value for key in RuleSpec.model_fields if (value := getattr(spec, key)) is not None})
    asked_for = any(spec.store_evidence for spec in specs[:-1])
    return Rule(
        review=said.get("review"),
        block=said.get("block"),
        confirm=said["confirm"],
        clear_after_s=said["clear_after"],
        severity=said["severity"],
        actions=said["actions"],
        store_evidence=said["store_evidence"] and (asked_for or label not in _NEVER_STORED),
    )
