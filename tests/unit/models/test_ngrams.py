import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from duobiao.data.encode import Pair
from duobiao.models.linear import make_analyzer
from duobiao.models.ngrams import KeyTable, VocabularyNgrams

TEXTS = st.text(st.sampled_from("今天天气好 \n\tABaé😀\x02𠮷İ"), max_size=12)
PAIRS = st.lists(st.tuples(TEXTS, st.none() | st.sampled_from(["身份", "天", ""])), min_size=1, max_size=8)


@settings(deadline=None)
@given(PAIRS, PAIRS, st.sampled_from([(1, 1), (1, 3), (2, 3), (3, 3), (2, 4), (1, 5)]))
def test_features_are_those_of_scikit_learn(known: list[Pair], asked: list[Pair], ngrams: tuple[int, int]):
    reference = TfidfVectorizer(analyzer=make_analyzer(ngrams), lowercase=False, sublinear_tf=True)
    try:
        reference.fit(known)
    except ValueError:  # no n-grams at all
        return
    words = sorted(reference.vocabulary_, key=reference.vocabulary_.__getitem__)
    ours = VocabularyNgrams(ngrams, words, reference.idf_.astype(np.float32))
    found, wanted = ours.transform(asked), reference.transform(asked)
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found.toarray(), wanted.toarray(), atol=1e-6)


@given(st.sets(st.integers(1, 2**63 - 1), max_size=60), st.lists(st.integers(1, 2**63 - 1), max_size=20))
def test_a_table_finds_what_is_in_it_and_nothing_else(keys: set[int], others: list[int]):
    order = sorted(keys)
    table = KeyTable(np.array(order, dtype=np.uint64), np.arange(len(order)) * 3)
    wanted = {key: place * 3 for place, key in enumerate(order)}
    asked = [*order, *others]
    assert table.find(np.array(asked, dtype=np.uint64)).tolist() == [wanted.get(key, -1) for key in asked]


@pytest.mark.parametrize("count", [1, 5000])
def test_keys_that_fall_into_one_place_are_all_found(count: int):
    keys = (np.arange(1, count + 1, dtype=np.uint64) << np.uint64(42)) | np.uint64(7)
    places = np.arange(count)
    np.testing.assert_array_equal(KeyTable(keys, places).find(keys), places)
    assert (KeyTable(keys, places).find(keys + np.uint64(1)) == -1).all()


def test_an_empty_vocabulary_finds_nothing():
    found = VocabularyNgrams((1, 3), []).transform([("你好", None), ("", "身份")])
    assert found.shape == (2, 0)
    assert found.nnz == 0
