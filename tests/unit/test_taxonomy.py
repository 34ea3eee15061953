"""The taxonomy's names and codes are fixed: consumers store them."""

from __future__ import annotations

import pytest

from streammon.taxonomy import load_taxonomy

CATEGORIES = {
    "pornography": 1000,
    "sexy": 2000,
    "politics": 3000,
    "violence": 4000,
    "prohibited": 5000,
    "values": 6000,
    "minors": 7000,
    "advertising": 8000,
}
# Written out once more on purpose: a label may be added here, never renumbered.
CODES = {
    "pornography.adult": 1001,
    "pornography.cartoon": 1002,
    "pornography.child": 1003,
    "pornography.exposure.breast": 1010,
    "pornography.exposure.genitals_female": 1011,
    "pornography.exposure.genitals_male": 1012,
    "pornography.exposure.buttocks": 1013,
    "pornography.exposure.anus": 1014,
    "sexy.vulgar": 2001,
    "sexy.cartoon": 2002,
    "sexy.kissing": 2003,
    "sexy.tongue": 2004,
    "sexy.skin_exposure": 2005,
    "politics.person": 3001,
    "politics.flag": 3002,
    "politics.spoof_cartoon": 3003,
    "politics.scene": 3004,
    "violence.person": 4001,
    "violence.scene": 4002,
    "violence.symbol": 4003,
    "violence.flag": 4004,
    "violence.gore": 4005,
    "violence.fire": 4006,
    "violence.weapon.gun": 4010,
    "violence.weapon.knife": 4011,
    "violence.weapon.military_vehicle": 4012,
    "violence.weapon.explosive": 4013,
    "prohibited.currency": 5001,
    "prohibited.uniform": 5002,
    "prohibited.drugs": 5003,
    "prohibited.gambling": 5004,
    "prohibited.religion": 5005,
    "prohibited.skeleton": 5006,
    "prohibited.uncivilised": 5007,
    "values.smoking": 6001,
    "values.drinking": 6002,
    "values.middle_finger": 6003,
    "values.tattoo": 6004,
    "minors.infant": 7001,
    "minors.child": 7002,
    "minors.teenager": 7003,
    "minors.soft_porn": 7004,
    "advertising.qr_code": 8001,
    "advertising.porn_ad": 8002,
    "advertising.promotion": 8003,
    "advertising.contact": 8004,
    "advertising.other_game": 8005,
}


def test_every_label_has_its_fixed_code() -> None:
    assert {name: label.code for name, label in load_taxonomy().labels.items()} == CODES


def test_every_category_has_its_fixed_code() -> None:
    assert load_taxonomy().categories == CATEGORIES


def test_codes_are_unique() -> None:
    taxonomy = load_taxonomy()
    codes = [label.code for label in taxonomy.labels.values()] + list(taxonomy.categories.values())
    assert len(set(codes)) == len(codes)


def test_a_labels_code_lies_in_its_category() -> None:
    taxonomy = load_taxonomy()
    for name, label in taxonomy.labels.items():
        assert (label.name, label.category) == (name, name.split(".")[0])
        assert taxonomy.categories[label.category] == label.code // 1000 * 1000


def test_a_label_stands_for_itself() -> None:
    assert load_taxonomy().expand("sexy.kissing") == ("sexy.kissing",)


def test_a_group_stands_for_its_labels() -> None:
    assert load_taxonomy().expand("violence.weapon") == (
        "violence.weapon.gun",
        "violence.weapon.knife",
        "violence.weapon.military_vehicle",
        "violence.weapon.explosive",
    )


@pytest.mark.parametrize("category", CATEGORIES)
def test_a_category_stands_for_all_below_it(category: str) -> None:
    below = tuple(name for name in CODES if name.split(".")[0] == category)
    assert load_taxonomy().expand(category) == below


@pytest.mark.parametrize("name", ["", ".", "sex", "sexy.", "violence.weap", "Sexy", "sexy.kissing.more"])
def test_what_is_no_name_stands_for_nothing(name: str) -> None:
    assert load_taxonomy().expand(name) == ()
