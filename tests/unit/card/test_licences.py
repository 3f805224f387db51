"""Names of licences, as the Hub knows them."""

from __future__ import annotations

import pytest

from duobiao.card.licences import LICENCES, PAGE, check_licence
from duobiao.errors import ConfigError


def test_every_name_of_the_list_goes_and_none_stands_there_twice() -> None:
    assert len(set(LICENCES)) == len(LICENCES) == 83
    for name in (*LICENCES, ""):
        check_licence(name)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("MIT", "mit"),
        ("Apache-2.0", "apache-2.0"),
        ("apache 2.0", "apache-2.0"),
        ("Apache License", "apache-2.0"),
        ("apache", "apache-2.0"),
        ("MIT License", "mit"),
        ("GPL-3.0-or-later", "gpl-3.0"),
        ("CC BY 4.0", "cc-by-4.0"),
        ("cc_by_sa_4.0", "cc-by-sa-4.0"),
        ("bsd-3-clauses", "bsd-3-clause"),
    ],
)
def test_a_near_miss_is_told_what_was_meant(written: str, meant: str) -> None:
    with pytest.raises(ConfigError) as error:
        check_licence(written)
    assert repr(written) in error.value.message
    assert meant in error.value.hint.partition("?")[0].replace("did you mean ", "").split(" or ")


@pytest.mark.parametrize("written", ["not a licence", "专有", "proprietary", " ", "mit\nevil: yes"])
def test_what_is_like_nothing_is_sent_to_the_list(written: str) -> None:
    with pytest.raises(ConfigError) as error:
        check_licence(written)
    assert PAGE in error.value.hint
    assert "give other" in error.value.hint
    assert "\n" not in error.value.message
