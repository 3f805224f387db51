import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duobiao.doctor.near_duplicates import jaccard, minhash, near_duplicates, normalise, shingle


def similarity(one: str, other: str, ngram: int = 2) -> float:
    """The definition, with Python's sets."""

    def grams(text: str) -> set[str]:
        return {text[at : at + ngram] for at in range(max(1, len(text) - ngram + 1))}

    return len(grams(one) & grams(other)) / len(grams(one) | grams(other))


def brute_force(texts: list[str], threshold: float) -> dict[tuple[int, int], float]:
    sets = [{text[at : at + 2] for at in range(max(1, len(text) - 1))} for text in texts]
    pairs = ((a, b) for b in range(len(texts)) for a in range(b) if not sets[a].isdisjoint(sets[b]))
    found = {(a, b): len(sets[a] & sets[b]) / len(sets[a] | sets[b]) for a, b in pairs}
    return {pair: value for pair, value in found.items() if value >= threshold - 1e-9}


def found_in(texts: list[str], threshold: float = 0.8) -> dict[tuple[int, int], float]:
    pairs = near_duplicates(texts, threshold=threshold)
    return dict(zip(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True), pairs.similarity.tolist(), strict=True))


def many_texts(count: int, seed: int = 3) -> list[str]:
    """Random texts, and as many copies with a few characters changed."""
    chance = random.Random(seed)
    letters = [chr(code) for code in range(0x4E00, 0x4E00 + 800)]
    texts = ["".join(chance.choices(letters, k=chance.randint(4, 60))) for _ in range(count // 2)]
    for text in texts[: count // 2]:
        copy = list(text)
        for _ in range(chance.randint(1, 4)):
            copy[chance.randrange(len(copy))] = chance.choice(letters)
        texts.append("".join(copy))
    return texts


def test_what_is_found_is_what_brute_force_finds():
    texts = many_texts(400)
    truth, found = brute_force(texts, 0.8), found_in(texts)
    assert len(truth) > 40
    assert found.keys() <= truth.keys()  # nothing false
    assert len(found) >= 0.98 * len(truth)  # hardly anything missed
    for pair, value in found.items():
        assert value == pytest.approx(truth[pair])


@given(st.lists(st.text(st.sampled_from("甲乙丙a🙂"), max_size=12), max_size=12), st.sampled_from([1, 2, 3]))
@settings(max_examples=80, deadline=None)
def test_shingles_and_similarities_are_those_of_the_definition(texts: list[str], ngram: int):
    texts = [text for text in texts if text]
    if not texts:
        return
    shingles, starts = shingle(texts, ngram)
    for at, text in enumerate(texts):
        assert starts[at + 1] - starts[at] == len({text[i : i + ngram] for i in range(max(1, len(text) - ngram + 1))})
    pairs = [(a, b) for a in range(len(texts)) for b in range(len(texts))]
    first, second = np.array(pairs).T
    values = jaccard(shingles, starts, first, second, step=7)
    assert values.tolist() == pytest.approx([similarity(texts[a], texts[b], ngram) for a, b in pairs])


def test_shingles_do_not_depend_on_how_texts_are_cut_into_chunks(monkeypatch: pytest.MonkeyPatch):
    texts = many_texts(60)
    whole = shingle(texts)
    monkeypatch.setattr("duobiao.doctor.near_duplicates._CHUNK_CHARACTERS", 50)
    parts = shingle(texts)
    assert all(np.array_equal(one, other) for one, other in zip(whole, parts, strict=True))


def test_equal_values_of_minhash_estimate_the_similarity():
    texts = ["一二三四五六七八九十甲乙丙丁戊己庚辛", "一二三四五六七八九十甲乙丙丁戊己", "子丑寅卯辰巳午未申酉戌亥"]
    signatures = minhash(*shingle(texts), hashes=4096)
    assert (signatures[:, 0] == signatures[:, 1]).mean() == pytest.approx(similarity(texts[0], texts[1]), abs=0.03)
    assert (signatures[:, 0] == signatures[:, 2]).mean() == pytest.approx(0, abs=0.005)


def test_a_message_sent_thousands_of_times_is_found_without_comparing_all_with_all():
    texts = [f"尊敬的客户您好您的订单已经发出请您注意查收谢谢您的支持与信任祝您生活愉快{number}" for number in range(1000)]
    found = found_in(texts)
    touched = {at for pair in found for at in pair}
    assert len(touched) == len(texts)
    assert len(found) < 40 * 20 * len(texts)


def test_only_texts_with_the_same_context_are_compared():
    text = "我想要退货因为收到的东西是坏的"
    assert len(near_duplicates([text, text], ["售后", "售前"])) == 0
    assert len(near_duplicates([text, text], ["售后", "售后"])) == 1
    assert len(near_duplicates([text, text], [None, ""])) == 0


@pytest.mark.parametrize("texts", [[], ["一"], ["", ""], ["", "一", "二"]])
def test_few_and_empty_texts_are_no_error(texts: list[str]):
    assert len(near_duplicates(texts)) == 0


def test_a_lone_surrogate_is_no_error():
    assert len(near_duplicates(["坏\ud800了的东西", "坏\ud800了的东西"])) == 1


@pytest.mark.parametrize(
    ("one", "other"), [("你好，世界！", "你好世界"), ("ＡＢＣ１２", "abc12"), (" 换 行\n了", "换行了"), ("①号", "1号")]
)
def test_width_case_and_punctuation_do_not_count(one: str, other: str):
    assert normalise(one) == normalise(other)


def test_texts_of_punctuation_keep_it():
    assert normalise("？？ ！") == "??!"
    assert normalise("😂") != normalise("👍")
