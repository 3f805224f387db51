from hypothesis import given
from hypothesis import strategies as st

from duobiao.data.units import text_key
from duobiao.data.varied import unlike_first


def slow(texts: list[tuple[str, str]]) -> list[int]:
    """Greedy by plain search."""
    sets = []
    for place, text in texts:
        key = text_key(text)
        sets.append({(place, key[at : at + 2]) for at in range(max(len(key) - 1, 1))})
    known: set[tuple[str, str]] = set()
    left, order = list(range(len(texts))), []
    while left:
        best = max(left, key=lambda at: (len(sets[at] - known) / len(sets[at]), -at))
        left.remove(best)
        order.append(best)
        known |= sets[best]
    return order


@given(st.lists(st.tuples(st.sampled_from("xy"), st.text(alphabet="甲乙丙 ", max_size=6)), max_size=25))
def test_it_is_the_greedy_order(texts: list[tuple[str, str]]):
    assert unlike_first(texts, set()) == slow(texts)


def test_places_have_nothing_in_common_and_what_is_known_counts():
    texts = [("时间", "可以的"), ("时间", "可以的吧"), ("地址", "可以的"), ("时间", "不行")]
    assert unlike_first(texts, set()) == [0, 2, 3, 1]
    assert unlike_first(texts, {("时间", "不行")}) == [0, 2, 1, 3]


def test_width_and_case_make_no_difference():
    assert unlike_first([("", "ＯＫ好"), ("", "ok 好"), ("", "不")], set()) == [0, 2, 1]
