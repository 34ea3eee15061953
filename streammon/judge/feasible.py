"""Says what of a policy cannot work at a room's sampling interval: valid each for itself, useless together."""

from __future__ import annotations

from math import floor

from streammon.judge.policy import Policy, Rule


def warnings(policy: Policy, interval_s: float) -> list[str]:
    """What to tell whoever runs `policy` on a room of which a picture is taken every `interval_s` seconds."""
    told: dict[str, list[str]] = {}
    for label, rule in policy.rules.items():
        for reason in _of_rule(rule, interval_s):
            told.setdefault(reason, []).append(label)
    found = [f"{', '.join(labels)}: {reason}" for reason, labels in told.items()]
    if policy.blind_after_s <= interval_s:
        found.append(
            f"blind_after {policy.blind_after_s:g}s is no longer than the interval of {interval_s:g}s: "
            "every incident ends as blind between two pictures"
        )
    return found


def slowest_interval_s(policy: Policy) -> float:
    """The longest time between two pictures, in seconds, at which the policy can still confirm, clear and not go blind.

    `n in w s` needs its n pictures within w seconds; an open incident must be looked at twice before it ends as blind.
    """
    rules = policy.rules.values()
    bounds = [rule.confirm.within_s / (rule.confirm.hits - 1) for rule in rules if rule.confirm.hits > 1]
    bounds += [rule.clear_after_s for rule in rules if rule.clear_after_s > 0]
    return min([*bounds, policy.blind_after_s / 2])


def _of_rule(rule: Rule, interval_s: float) -> list[str]:
    found = []
    # So many pictures lie within a time, its both ends counted; a hair more, since 2.0 / 0.1 may come out as 19.99….
    most = floor(rule.confirm.within_s / interval_s + 1e-9) + 1
    if rule.confirm.hits > most:
        found.append(
            f"`confirm: {rule.confirm}` can never be met: at an interval of {interval_s:g}s "
            f"{rule.confirm.within_s:g}s hold {most} picture{'s' if most > 1 else ''} at most"
        )
    if rule.clear_after_s < interval_s:
        found.append(
            f"clear_after {rule.clear_after_s:g}s is shorter than the interval of {interval_s:g}s: "
            "one picture without it ends the incident"
        )
    return found
