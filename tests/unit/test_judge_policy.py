"""Policies: how levels merge, what is refused and where, when a version changes, what is never stored."""

from __future__ import annotations

from pathlib import Path

import pytest

from streammon.entities import MatchStep, Room
from streammon.errors import ConfigError
from streammon.events import Verdict
from streammon.judge.policy import Policy, TextPolicy, above
from streammon.judge.policy_load import load_policy
from tests.unit.judging import confirm_in, escalation, rule, write

HEAD = "version: 1\nid: test\n"


def load(folder: Path, text: str) -> Policy:
    return load_policy(write(folder, "policy.yaml", HEAD + text))


def problems(folder: Path, text: str) -> list[str]:
    """The problems as `line: key: reason`, those of other files with their name in front."""
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    lines = [str(problem) for problem in caught.value.problems]
    return [line.removeprefix(f"{folder}/").removeprefix("policy.yaml:") for line in lines]


def test_the_most_specific_name_wins_key_by_key(tmp_path: Path) -> None:
    rules = load(
        tmp_path,
        """
defaults: {review: 0.1, severity: 1, clear_after: 7s, actions: [warn]}
labels:
  violence: {review: 0.2, severity: 2, confirm: 2 in 20s}
  violence.weapon: {review: 0.3, severity: 3}
  violence.weapon.gun: {severity: 4}
""",
    ).rules
    gun, knife, gore = rules["violence.weapon.gun"], rules["violence.weapon.knife"], rules["violence.gore"]
    assert (gun.severity, gun.review, str(gun.confirm), gun.clear_after_s, gun.actions) == (
        4, 0.3, "2 in 20s", 7.0, ("warn",)
    )  # fmt: skip
    assert (knife.severity, knife.review) == (3, 0.3)
    assert (gore.severity, gore.review) == (2, 0.2)


def test_only_labels_that_are_named_and_have_a_threshold_have_a_rule(tmp_path: Path) -> None:
    rules = load(tmp_path, "labels:\n  sexy.kissing: {review: 0.5}\n  sexy.tongue: {severity: 1}\n").rules
    assert set(rules) == {"sexy.kissing"}


def test_defaults_give_a_threshold_to_what_is_named(tmp_path: Path) -> None:
    rules = load(tmp_path, "defaults: {block: 0.9}\nlabels:\n  sexy.kissing: {}\n").rules
    assert (rules["sexy.kissing"].review, rules["sexy.kissing"].block) == (None, 0.9)


def test_what_nobody_says_has_a_fallback(tmp_path: Path) -> None:
    policy = load(tmp_path, "labels: {sexy.kissing: {review: 0.5}}\n")
    kissing = policy.rules["sexy.kissing"]
    assert (str(kissing.confirm), kissing.clear_after_s, kissing.severity) == ("1 in 10s", 10.0, 3)
    assert (kissing.actions, kissing.store_evidence, policy.blind_after_s) == ((), True, 60.0)


def test_an_explicit_zero_is_not_taken_for_nothing(tmp_path: Path) -> None:
    text = "defaults: {review: 0.5, severity: 3, actions: [cut]}\nlabels: {sexy: {review: 0, severity: 0, actions: []}}"
    kissing = load(tmp_path, text).rules["sexy.kissing"]
    assert (kissing.review, kissing.severity, kissing.actions) == (0.0, 0, ())


@pytest.mark.parametrize("off", ["off", "null", "~"])
def test_off_and_null_take_back_a_threshold_of_the_category(tmp_path: Path, off: str) -> None:
    text = f"labels:\n  sexy: {{review: 0.5, block: 0.9}}\n  sexy.kissing: {{block: {off}}}\n"
    rules = load(tmp_path, text).rules
    assert (rules["sexy.kissing"].review, rules["sexy.kissing"].block) == (0.5, None)
    assert rules["sexy.tongue"].block == 0.9


@pytest.mark.parametrize("off", ["off", "{review: off}", "{review: null, block: off}"])
def test_a_label_without_any_threshold_left_has_no_rule(tmp_path: Path, off: str) -> None:
    rules = load(tmp_path, f"labels:\n  sexy: {{review: 0.5}}\n  sexy.kissing: {off}\n").rules
    assert "sexy.kissing" not in rules
    assert "sexy.tongue" in rules


def test_a_group_that_is_off_may_have_a_label_that_is_not(tmp_path: Path) -> None:
    text = "labels: {violence: {review: 0.5}, violence.weapon: off, violence.weapon.gun: {review: 0.8}}\n"
    rules = load(tmp_path, text).rules
    assert rules["violence.weapon.gun"].review == 0.8
    assert "violence.weapon.knife" not in rules
    assert "violence.gore" in rules


def test_an_escalation_can_be_taken_back(tmp_path: Path) -> None:
    text = """
defaults: {review: 0.5, escalate: {at: 3 in 10m, verdict: block, actions: [cut]}}
labels: {sexy: {}, sexy.kissing: {escalate: off}}
"""
    rules = load(tmp_path, text).rules
    assert rules["sexy.kissing"].escalation is None
    assert rules["sexy.tongue"].escalation == escalation(3, 600.0, actions="cut")


@pytest.mark.parametrize(
    ("score", "verdict"),
    [(0.59, Verdict.PASS), (0.6, Verdict.REVIEW), (0.89, Verdict.REVIEW), (0.9, Verdict.BLOCK), (1.0, Verdict.BLOCK)],
)
def test_a_score_on_the_threshold_counts(score: float, verdict: Verdict) -> None:
    assert rule(review=0.6, block=0.9).verdict(score) is verdict


def test_without_a_block_threshold_nothing_is_blocked() -> None:
    assert rule(review=0.6, block=None).verdict(1.0) is Verdict.REVIEW


def test_confirm_is_hits_in_a_time() -> None:
    confirm = confirm_in(" 3 in 1.5m ")
    assert (confirm.hits, confirm.within_s, str(confirm)) == (3, 90.0, "3 in 90s")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("labels: {foo: {review: 1}}", ["3: labels.foo: is no label, group or category of the taxonomy;"]),
        ("labels: {sexy: {reviw: 1}}", ["3: labels.sexy.reviw: unknown key"]),
        ("labels:\n  sexy: {review: 0.9,\n    block: 0.5}", ["4: labels.sexy: `review` should not be above `block`"]),
        ("labels: {sexy: {review: true}}", ["3: labels.sexy.review: Input should be a valid number (got True)"]),
        ("labels: {sexy: {block: 90}}", ["3: labels.sexy.block: Input should be less than or equal to 1 (got 90)"]),
        ("labels: {sexy: {severity: 6}}", ["3: labels.sexy.severity: Input should be less than or equal to 5"]),
        ("labels: {sexy: {confirm: often}}", ["3: labels.sexy.confirm: should be a number in a time, such"]),
        ("labels: {sexy: {confirm: 0 in 5s}}", ["3: labels.sexy.confirm.count: Input should be greater than"]),
        ("labels: {sexy: {confirm: 1 in 0s}}", ["3: labels.sexy.confirm.within: Input should be greater than 0"]),
        ("labels: {sexy: {clear_after: 0}}", ["3: labels.sexy.clear_after: Input should be greater than 0"]),
        ("labels: {sexy: {confirm: 3 in 2h}}", ["3: labels.sexy.confirm.within: Input should be less than or equal"]),
        ("labels: {sexy: {cooldown: -1}}", ["3: labels.sexy.cooldown: Input should be greater than or equal to 0"]),
        ("labels: {sexy: {confirm: null}}", ["3: labels.sexy.confirm: should be a section, keys with values"]),
        ("labels: {sexy: }", ["3: labels.sexy: should be a section, keys with values"]),
        ("labels: {sexy: {review: false}}", ["3: labels.sexy.review: Input should be a valid number (got False)"]),
        ("labels: {sexy: {escalate: {at: 3 in 5m}}}", ["3: labels.sexy.escalate: should say `verdict: block`"]),
        ("labels: {sexy: {escalate: {at: 3 in 5m, verdict: review}}}", [
            "3: labels.sexy.escalate.verdict: Input should be 'block' (got 'review')",
        ]),
        ("labels: {}\nexempt: [{labels: [sexy]}]", ["4: exempt[0]: should name `rooms` or `tenants`"]),
        ("labels: {}\nexempt: [{rooms: [a], labels: [x]}]", ["4: exempt[0].labels[0]: is no label, group"]),
        ("labels: {}\nexempt: [{rooms: [a], labels: []}]", ["4: exempt[0].labels: should name at least one"]),
        ("labels: {}\nignore_regions: [{x: 0.5, y: 0, w: 0.6, h: 1}]", ["4: ignore_regions[0]: reaches out of"]),
        ("labels: {}\nignore_regions: [{x: 0, y: 0, w: 0, h: 1}]", ["4: ignore_regions[0].w: Input should be greater"]),
        ("labels: {}\ntext: some", ["4: text: Input should be 'full', 'hits' or 'none' (got 'some')"]),
        ("labels: {}\ngrace: 2h", ["4: grace: Input should be less than or equal to 3600 (got 7200.0)"]),
        ("labels: {}\nblind_after: .inf", ["4: blind_after: Input should be a finite number"]),
        ("labels: {}\nqr: {allow_domains: [163.com, https://a.cn]}", ["4: qr.allow_domains[1]: should be a domain"]),
        ("labels: {}\nqr: {allow_domains: ['*.a.cn', '', .a.cn, 3]}", [
            "4: qr.allow_domains[0]: should be a domain such as example.com, without scheme, port, path or wildcard",
            "4: qr.allow_domains[1]: should be a domain",
            "4: qr.allow_domains[2]: should be a domain",
            "4: qr.allow_domains[3]: Input should be a valid string (got 3)",
        ]),
        ("labels: {}\nqr: {deny_domains: [https://a.cn]}", ["4: qr.deny_domains[0]: should be a domain"]),
        ("labels: {}\ncontacts: {regions: [CN, China]}", ["4: contacts.regions[1]: should be a region of two capital"]),
        ("labels: {}\ncontacts: {kinds: []}", ["4: contacts.kinds: should name at least one"]),
        ("labels: {}\ncontacts: {kinds: [phone, fax]}", ["4: contacts.kinds[1]: Input should be 'phone', 'wechat'"]),
        ("labels: {}\ncontacts: {allow_domains: [a b]}", ["4: contacts.allow_domains[0]: should be a domain"]),
        ("labels: {}\ncontacts:\n  enabled: true", [
            "5: contacts.enabled: advertising.contact has no threshold under `labels`, so contacts would never be",
        ]),
    ],
)  # fmt: skip
def test_what_is_not_valid_is_told_by_line_and_key(tmp_path: Path, text: str, expected: list[str]) -> None:
    told = problems(tmp_path, text)
    assert len(told) == len(expected)
    assert [line[: len(start)] for line, start in zip(told, expected, strict=True)] == expected


def test_thresholds_that_only_inheritance_reverses_are_told_once_per_name(tmp_path: Path) -> None:
    told = problems(tmp_path, "defaults: {block: 0.8}\nlabels:\n  minors: {block: 1}\n  sexy:\n    review: 0.9\n")
    assert told == [
        "6: labels.sexy: gives sexy.vulgar a `review` of 0.9 above its `block` of 0.8 (one is inherited)"
    ]  # fmt: skip


def test_a_list_whose_label_has_no_threshold_is_told(tmp_path: Path) -> None:
    write(tmp_path, "words.txt", "casino\n")
    text = "labels: {}\nkeywords:\n  - file: words.txt\n    label: prohibited.gambling\n"
    (told,) = problems(tmp_path, text)
    assert told.startswith("6: keywords[0].label: prohibited.gambling has no threshold under `labels`, so its words")


def test_a_lists_label_is_one_label(tmp_path: Path) -> None:
    write(tmp_path, "words.txt", "casino\n")
    (told,) = problems(tmp_path, "labels: {}\nkeywords: [{file: words.txt, label: prohibited}]")
    assert told.startswith("4: keywords[0].label: should be one label of the taxonomy, not a category;")
    assert told.endswith(" (got 'prohibited')")


def test_faults_of_the_policy_and_of_its_lists_come_in_one_go(tmp_path: Path) -> None:
    write(tmp_path, "twice.txt", "casino\nCASINO\n")
    told = problems(
        tmp_path,
        """labels: {sexy: {review: 2}}
keywords:
  - {file: twice.txt, label: prohibited.gambling}
  - {file: none.txt, label: prohibited.gambling}
""",
    )
    assert told == [
        "3: labels.sexy.review: Input should be less than or equal to 1 (got 2)",
        "6: keywords[1].file: no such file; the path is relative to the policy's folder (got 'none.txt')",
        "twice.txt:2: stands in line 1 already (got 'CASINO')",
    ]


def test_faults_that_only_show_in_the_whole_come_with_those_of_the_lists(tmp_path: Path) -> None:
    write(tmp_path, "twice.txt", "casino\ncasino\n")
    told = problems(tmp_path, "labels: {}\nkeywords: [{file: twice.txt, label: prohibited.gambling}]")
    assert [line.split(": ")[0] for line in told] == ["4", "twice.txt:2"]


def with_lists(folder: Path, contact: str, gambling: str) -> str:
    write(folder, "contact.txt", contact)
    write(folder, "gambling.txt", gambling)
    return load(
        folder,
        """labels: {advertising: {review: 0.5}, prohibited: {review: 0.5}}
keywords:
  - {file: contact.txt, label: advertising.contact}
  - {file: gambling.txt, label: prohibited.gambling}
""",
    ).version


def test_the_version_is_of_the_text_of_the_policy_and_its_lists(tmp_path: Path) -> None:
    version = with_lists(tmp_path, "whatsapp\n", "casino\n")
    assert with_lists(tmp_path, "whatsapp\n", "casino\n") == version
    assert with_lists(tmp_path, "whatsapp\n", "casino\nbaccarat\n") != version


def test_the_version_changes_when_a_word_moves_from_one_list_to_the_next(tmp_path: Path) -> None:
    assert with_lists(tmp_path, "a\nb\n", "c\n") != with_lists(tmp_path, "a\n", "b\nc\n")


def test_the_version_changes_with_the_policys_own_text(tmp_path: Path) -> None:
    assert load(tmp_path, "labels: {}").version != load(tmp_path, "labels: {}\nblind_after: 61s").version


@pytest.mark.parametrize("label", ["pornography.child", "minors.soft_porn"])
@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("labels: {%(group)s: {review: 0.5}}", False),
        ("labels: {%(label)s: {review: 0.5}}", False),
        ("defaults: {store_evidence: true}\nlabels: {%(label)s: {review: 0.5}}", False),
        ("labels: {%(group)s: {review: 0.5, store_evidence: true}}", False),
        ("labels: {%(label)s: {review: 0.5, store_evidence: true}}", True),
        ("labels: {%(label)s: {review: 0.5, store_evidence: false}}", False),
    ],
)
def test_pictures_of_minors_are_stored_only_where_the_label_itself_says_so(
    tmp_path: Path, label: str, text: str, stored: bool
) -> None:
    rules = load(tmp_path, text % {"label": label, "group": label.split(".", maxsplit=1)[0]}).rules
    assert rules[label].store_evidence is stored


def test_other_pictures_are_stored_unless_a_policy_forbids_it(tmp_path: Path) -> None:
    rules = load(tmp_path, "labels: {sexy: {review: 0.5}, values: {review: 0.5, store_evidence: false}}").rules
    assert rules["sexy.kissing"].store_evidence
    assert not rules["values.smoking"].store_evidence


COMBINE = """
labels: {pornography.child: {block: 0.5}}
combine:
  - label: pornography.child
    parts:
      - {labels: [pornography, sexy.vulgar], at_least: 0.7}
      - {labels: [%s], at_least: 0.5}
"""


def test_a_combination_is_of_all_labels_but_its_own(tmp_path: Path) -> None:
    policy = load(tmp_path, COMBINE % "minors.child")
    (combined,) = policy.combinations
    assert combined.label == "pornography.child"
    assert "pornography.child" not in combined.parts[0].labels
    assert {"pornography.adult", "sexy.vulgar"} < combined.parts[0].labels
    assert combined.parts[0].at_least == 0.7
    assert combined.parts[1].labels == {"minors.child"}
    assert policy.watches("minors.child")
    assert not policy.watches("minors.infant")


def test_a_label_in_two_parts_would_be_a_combination_alone(tmp_path: Path) -> None:
    (told,) = problems(tmp_path, COMBINE % "sexy")
    assert told == "6: combine[0]: sexy.vulgar is in two parts, so it alone would be a combination"


def test_a_combination_that_nobody_reports_is_told(tmp_path: Path) -> None:
    (told,) = problems(tmp_path, (COMBINE % "minors").replace("block: 0.5", "block: off"))
    assert told.startswith("6: combine[0].label: pornography.child has no threshold under `labels`, so the combination")


def test_who_is_exempt_of_what(tmp_path: Path) -> None:
    policy = load(
        tmp_path,
        """labels: {sexy.kissing: {review: 0.5}, values.smoking: {review: 0.5}, values.tattoo: {review: 0.5}}
exempt:
  - {rooms: [bar], labels: [values]}
  - {tenants: [film], rooms: [cinema], labels: [sexy, values.smoking]}
  - {rooms: [test]}
""",
    )

    def judged(room_id: str, tenant: str = "default") -> set[str]:
        return set(policy.judged_in(Room(room_id=room_id, url="", tenant=tenant)))

    assert judged("other") == set(policy.rules)
    assert judged("bar") == {"sexy.kissing"}
    assert judged("cinema") == judged("other", "film") == {"values.tattoo"}
    assert judged("bar", "film") == judged("test") == set()


def test_what_holds_for_the_whole_policy(tmp_path: Path) -> None:
    policy = load(tmp_path, "labels: {}\ntext: hits\ngrace: 20s\nignore_regions: [{x: 0.8, y: 0, w: 0.2, h: 0.1}]")
    assert (policy.text, policy.grace_s, len(policy.regions)) == (TextPolicy.HITS, 20.0, 1)
    assert policy.regions[0].labels is None
    assert policy.files == (tmp_path / "policy.yaml",)


def test_a_verdict_is_above_another() -> None:
    grave = [Verdict.PASS, Verdict.REVIEW, Verdict.BLOCK]
    assert [[above(one, other) for other in grave] for one in grave] == [
        [False, False, False], [True, False, False], [True, True, False],
    ]  # fmt: skip


def test_contacts_are_looked_for_where_the_policy_says_so(tmp_path: Path) -> None:
    labels = "labels: {advertising.contact: {review: 0.5}}"
    assert load(tmp_path, labels).contacts is None
    asked = load(tmp_path, f"{labels}\ncontacts: {{enabled: true, kinds: [phone, url], allow_domains: [例子.中国]}}")
    assert asked.contacts is not None
    found = asked.contacts.find("vx: abc123 13800138000 https://例子.中国/ https://example.com/")
    assert [(contact.kind.value, contact.value) for contact in found] == [
        ("phone", "+8613800138000"),
        ("url", "example.com"),
    ]


def test_domains_of_codes_are_kept_as_dns_has_them(tmp_path: Path) -> None:
    judging = load(tmp_path, "labels: {}\nqr: {allow_domains: [A.cn], deny_domains: [例子.中国]}")
    assert (judging.qr_allow_domains, judging.qr_deny_domains) == (("a.cn",), ("xn--fsqu00a.xn--fiqs8s",))


def test_steps_of_matching_can_be_switched_off(tmp_path: Path) -> None:
    write(tmp_path, "words.txt", "加微信\n")
    text = "labels: {advertising.contact: {review: 0.5}}\nkeywords: [{file: words.txt, label: advertising.contact}]\n"
    hidden = "加威信, 加.微.信"
    assert len(load(tmp_path, text).matcher.find(hidden)) == 2
    (match,) = load(tmp_path, text + "text_matching: {pinyin: off}\n").matcher.find(hidden)
    assert match.hit.by is MatchStep.SEPARATORS
    assert "text_matching.exact: unknown key" in problems(tmp_path, text + "text_matching: {exact: off}\n")[0]


def test_an_allow_list_hides_hits_and_is_one_of_the_policys_files(tmp_path: Path) -> None:
    write(tmp_path, "words.txt", "赌博\n")
    allow = write(tmp_path, "allow.txt", "禁止赌博\n")
    text = """
labels: {prohibited.gambling: {review: 0.5}}
keywords: [{file: words.txt, label: prohibited.gambling}]
text_matching: {allow: [allow.txt]}
"""
    policy = load(tmp_path, text)
    assert policy.matcher.find("禁止赌博") == []
    assert allow in policy.files
    write(tmp_path, "allow.txt", "禁止赌博\n\n禁止赌博\n")
    assert problems(tmp_path, text) == ["allow.txt:3: stands in line 1 already (got '禁止赌博')"]


def test_a_word_with_a_label_that_is_never_reported_is_told(tmp_path: Path) -> None:
    write(tmp_path, "words.txt", "加微信\n赌博\tprohibited.gambling\n")
    text = "labels: {advertising.contact: {review: 0.5}}\nkeywords: [{file: words.txt, label: advertising.contact}]\n"
    (told,) = problems(tmp_path, text)
    assert told.startswith("words.txt:1: gives words the label prohibited.gambling, which has no threshold")
