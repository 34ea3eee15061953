"""`streammon policy`: says what is wrong with policies, what they mean, and what they would have raised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from streammon import __version__
from streammon.cli.options import parse_interval
from streammon.cli.terminal import notes, print_line, told
from streammon.deliver.console import describe
from streammon.deliver.envelope import VIOLATION_SCHEMA
from streammon.errors import ConfigError
from streammon.events import Monitor, Phase, ViolationEvent
from streammon.judge.feasible import warnings
from streammon.judge.policy import Policy, Rule
from streammon.judge.policy_load import load_policy
from streammon.judge.recording import read_recording
from streammon.judge.replay import Replay
from streammon.judge.shadow import read_as_seen_by_shadow

policy_app = typer.Typer(help="Moderation policies: check them, try them on recordings.", no_args_is_help=True)


@policy_app.command()
def check(
    files: Annotated[list[Path], typer.Argument(help="The policies to check.", metavar="FILE...")],
    interval: Annotated[str, typer.Option("--interval", help="The rooms' time between samples.")] = "2s",
) -> None:
    """Say every fault of policies and of their keyword lists (exit status 2), and what valid ones mean and lack."""
    interval_s = parse_interval(interval)
    problems = []
    policies: list[tuple[Path, Policy]] = []
    for path in files:
        try:
            policies.append((path, load_policy(path)))
        except ConfigError as error:
            problems += error.problems
    for path, policy in policies:
        print_line(f"{path}: {policy.id}, version {policy.version}")
        _show_rules(policy)
        for warning in warnings(policy, interval_s):
            notes.print(f"{path}: warning: {warning}")
    with told():
        if problems:
            raise ConfigError(problems)


@policy_app.command("test")
def try_on(
    policy: Annotated[Path, typer.Argument(help="The policy to try.")],
    recording: Annotated[Path, typer.Argument(help="Recorded detections, a JSON line per frame.")],
    as_json: Annotated[bool, typer.Option("--json", help="Events and summary as JSON lines.")] = False,
    shadow: Annotated[
        str | None, typer.Option("--shadow", help="Judge this detector by what the model on trial for it saw.")
    ] = None,
) -> None:
    """Judge a recording by a policy, and say what would have been raised."""
    with told():
        tried = load_policy(policy)
        replay = Replay(tried, Monitor(version=__version__, worker="policy test"))
        frames = read_recording(recording) if shadow is None else read_as_seen_by_shadow(recording, shadow)
        events = list(replay.run(frames))
    for event in events:
        encoded = msgspec.json.encode(event)
        print_line(encoded.decode() if as_json else describe(VIOLATION_SCHEMA, encoded))
    summary = _summary(events)
    if as_json:
        whole = {"frames": replay.frames, "rooms": replay.rooms, "labels": summary}
        print_line(msgspec.json.encode({"summary": whole}).decode())
        return
    print_line(f"{replay.frames} frames of {replay.rooms} rooms: {sum(map(_incidents, summary.values()))} incidents")
    _show_summary(summary)


def _show_rules(policy: Policy) -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("label", "review", "block", "confirm", "clear", "cooldown", "severity", "actions", "escalates", ""):
        table.add_column(column, overflow="fold")
    for label, rule in policy.rules.items():
        table.add_row(
            label,
            _threshold(rule.review),
            _threshold(rule.block),
            str(rule.confirm),
            f"{rule.clear_after_s:g}s",
            f"{rule.cooldown_s:g}s",
            str(rule.severity),
            " ".join(rule.actions),
            _escalation(rule),
            "" if rule.store_evidence else "pictures are not kept",
        )
    # As wide as it needs: what is piped into a file must not be folded to a terminal's width.
    Console(highlight=False, width=200).print(table)


def _threshold(score: float | None) -> str:
    return "-" if score is None else f"{score:g}"


def _escalation(rule: Rule) -> str:
    if rule.escalation is None:
        return ""
    to = (*(("block",) if rule.escalation.to_block else ()), *rule.escalation.actions)
    return f"{rule.escalation.incidents} in {rule.escalation.within_s:g}s: {' '.join(to)}"


def _summary(events: Sequence[ViolationEvent]) -> dict[str, dict[str, int]]:
    """By label: how many incidents there were, how many of them came to block, and why they ended."""
    counted: dict[str, Counter[str]] = {}
    for event in events:
        if event.phase is Phase.END and event.end_reason is not None:
            counts = counted.setdefault(event.label, Counter())
            counts[event.verdict.value] += 1
            counts[event.end_reason.value] += 1
    return {label: dict(counts) for label, counts in sorted(counted.items())}


def _incidents(counts: dict[str, int]) -> int:
    return counts.get("review", 0) + counts.get("block", 0)


def _show_summary(summary: dict[str, dict[str, int]]) -> None:
    for label, counts in summary.items():
        ends = ", ".join(f"{count} {reason}" for reason, count in counts.items() if reason not in {"review", "block"})
        print_line(
            f"{label:<32} {counts.get('review', 0):>5} review  {counts.get('block', 0):>5} block   ended: {ends}"
        )
