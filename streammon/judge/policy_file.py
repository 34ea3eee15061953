"""A policy as it is written: the keys of the YAML file, their types, and what is refused where it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from streammon.config import FilePath, Seconds, Section
from streammon.entities import MatchStep
from streammon.errors import ConfigError
from streammon.judge.contacts.contact import ContactKind
from streammon.judge.contacts.regions import known_region
from streammon.judge.domains import ascii_domain
from streammon.judge.keywords import read_keyword_list
from streammon.judge.policy import TextPolicy
from streammon.taxonomy import load_taxonomy

_COUNT_IN = re.compile(r"(\d{1,9})\s+in\s+(\S+)", re.ASCII)
_DOMAIN = re.compile(r"[\w-]+(?:\.[\w-]+)*")

Name = TypeVar("Name", bound=str)


def _known_label(name: str) -> str:
    if not load_taxonomy().expand(name):
        raise ValueError("is no label, group or category of the taxonomy; `streammon labels` lists them")
    return name


def _leaf_label(name: str) -> str:
    if name not in load_taxonomy().labels:
        raise ValueError("should be one label of the taxonomy, not a category; `streammon labels` lists them")
    return name


def _keyword_file(path: Path, info: ValidationInfo) -> Path:
    if not path.is_file():
        raise ValueError("no such file; the path is relative to the policy's folder")
    try:
        read_keyword_list(path, "")
    except ConfigError as error:
        (info.context or {})["others"] += error.problems
    return path


def _domain(name: str) -> str:
    if _DOMAIN.fullmatch(name) is None:
        raise ValueError("should be a domain such as example.com, without scheme, port, path or wildcard")
    return ascii_domain(name)


def _off(value: object) -> object:
    return None if value == "off" else value


def _some(names: tuple[Name, ...]) -> tuple[Name, ...]:
    if not names:
        raise ValueError("should name at least one")
    return names


# Strict: `review: true` is a misunderstanding, not a threshold of 1.
Ratio = Annotated[float, Field(ge=0.0, le=1.0, strict=True)]
Threshold = Annotated[Ratio | None, BeforeValidator(_off)]
LabelName = Annotated[str, AfterValidator(_known_label)]
LeafLabel = Annotated[str, AfterValidator(_leaf_label)]
Labels = Annotated[tuple[LabelName, ...], AfterValidator(_some)]
Tag = Annotated[str, Field(min_length=1, max_length=100)]


class CountIn(Section):
    """A number of things in a time. Written `3 in 10s`."""

    count: int = Field(ge=1, le=100)
    within: Seconds = Field(gt=0, le=86400)

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        match = _COUNT_IN.fullmatch(value.strip())
        if match is None:
            raise ValueError("should be a number in a time, such as `3 in 10s`")
        return {"count": int(match[1]), "within": match[2]}


class HitsIn(CountIn):
    """How many hits, within how long, make an incident."""

    within: Seconds = Field(gt=0, le=3600)


class EscalateSpec(Section):
    """What the n-th incident of a label in a room within a time leads to: a verdict of block, more actions, or both."""

    at: CountIn
    verdict: Literal["block"] | None = None
    actions: tuple[Tag, ...] = ()

    @model_validator(mode="after")
    def _leads_somewhere(self) -> EscalateSpec:
        if self.verdict is None and not self.actions:
            raise ValueError("should say `verdict: block`, `actions`, or both")
        return self


class RuleSpec(Section):
    """What a policy says of a label, group or category. What it leaves out comes from the level above.

    The defaults are what holds where no level says anything. `off`, or null, takes back a level above's threshold or
    escalation; a whole label that is `off` has no threshold.
    """

    review: Threshold = None
    block: Threshold = None
    confirm: HitsIn = HitsIn(count=1, within=10.0)
    clear_after: Seconds = Field(default=10.0, gt=0)
    cooldown: Seconds = Field(default=0.0, ge=0, le=86400)
    severity: int = Field(default=3, ge=0, le=5, strict=True)
    actions: tuple[Tag, ...] = ()
    escalate: Annotated[EscalateSpec | None, BeforeValidator(_off)] = None
    store_evidence: bool = True

    @model_validator(mode="before")
    @classmethod
    def _off_at_all(cls, value: object) -> object:
        return {"review": None, "block": None} if value == "off" else value

    @model_validator(mode="after")
    def _ordered(self) -> RuleSpec:
        if self.review is not None and self.block is not None and self.review > self.block:
            raise ValueError("`review` should not be above `block`: what is sure enough to block is also reviewed")
        return self


class PartSpec(Section):
    """One part of a combination: any of these labels, this sure."""

    labels: Labels
    at_least: Ratio


class CombineSpec(Section):
    """Things that mean another label where they are seen in one picture."""

    label: LeafLabel
    parts: tuple[PartSpec, ...] = Field(min_length=2, max_length=4)

    @model_validator(mode="after")
    def _apart(self) -> CombineSpec:
        seen: set[str] = set()
        for part in self.parts:
            labels = {label for name in part.labels for label in load_taxonomy().expand(name)} - {self.label}
            if not labels:
                raise ValueError(f"{self.label} cannot be a part of itself")
            if shared := sorted(labels & seen):
                raise ValueError(f"{shared[0]} is in two parts, so it alone would be a combination")
            seen |= labels
        return self


class RegionSpec(Section):
    """A part of the picture that is not judged, in fractions of it from the top left corner."""

    x: Ratio
    y: Ratio
    w: Ratio = Field(gt=0)
    h: Ratio = Field(gt=0)
    labels: Labels | None = None

    @model_validator(mode="after")
    def _within_picture(self) -> RegionSpec:
        # A hundredth of a pixel: 0.8 + 0.2 is not 1 in every sum of fractions.
        if self.x + self.w > 1.00001 or self.y + self.h > 1.00001:
            raise ValueError("reaches out of the picture: `x + w` and `y + h` should be 1 at most")
        return self


class ExemptSpec(Section):
    """Rooms and tenants of which some labels, or all, are not reported."""

    rooms: tuple[Tag, ...] = ()
    tenants: tuple[Tag, ...] = ()
    labels: Labels | None = None

    @model_validator(mode="after")
    def _of_somebody(self) -> ExemptSpec:
        if not self.rooms and not self.tenants:
            raise ValueError("should name `rooms` or `tenants`; a label that is nowhere reported is `off`")
        return self


class KeywordFile(Section):
    """A keyword list and the label that its words mean."""

    file: Annotated[FilePath, AfterValidator(_keyword_file)]
    label: LeafLabel


class TextMatching(Section):
    """Which steps are taken to find listed words (see MatchStep), and the files of words that hide hits within them."""

    simplified: bool = True
    separators: bool = True
    homoglyphs: bool = True
    digits: bool = True
    repeats: bool = True
    pinyin: bool = True
    ocr: bool = True
    allow: tuple[Annotated[FilePath, AfterValidator(_keyword_file)], ...] = ()

    @property
    def off(self) -> frozenset[MatchStep]:
        """The steps that are not taken."""
        return frozenset(step for step in MatchStep if getattr(self, step.value, True) is False)


Domain = Annotated[str, AfterValidator(_domain)]


class QrSpec(Section):
    """Which codes are no violation: those that lead to an allowed domain or below it, and name no denied one."""

    allow_domains: tuple[Domain, ...] = ()
    deny_domains: tuple[Domain, ...] = ()


class ContactsSpec(Section):
    """Which contacts and links are looked for in lines of text; found ones are advertising.contact.

    `regions`: whose telephone numbers are known without a country's code. `allow_domains`: links to these are none.
    """

    enabled: bool = False
    regions: Annotated[tuple[Annotated[str, AfterValidator(known_region)], ...], Field(max_length=16)] = ("CN",)
    kinds: Annotated[tuple[ContactKind, ...], AfterValidator(_some)] = tuple(ContactKind)
    allow_domains: tuple[Domain, ...] = ()


class PolicyFile(Section):
    """A policy as it is written."""

    version: Literal[1]
    id: str = Field(min_length=1, max_length=100)
    defaults: RuleSpec = RuleSpec()
    labels: dict[LabelName, RuleSpec]
    combine: tuple[CombineSpec, ...] = ()
    keywords: tuple[KeywordFile, ...] = ()
    text_matching: TextMatching = TextMatching()
    qr: QrSpec = QrSpec()
    contacts: ContactsSpec = ContactsSpec()
    ignore_regions: tuple[RegionSpec, ...] = Field(default=(), max_length=100)
    exempt: tuple[ExemptSpec, ...] = ()
    text: TextPolicy = TextPolicy.FULL
    blind_after: Seconds = Field(
        default=60.0, gt=0, description="an incident ends when nobody could look for this long"
    )
    grace: Seconds = Field(default=0.0, ge=0, le=3600, description="a stream that comes back within it is the same one")
