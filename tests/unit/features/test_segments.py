"""What stands before the text."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from duobiao.config import InputSettings
from duobiao.data.encode import RowEncoder
from duobiao.features.segments import Mined, Pairwise, TextOnly, most_asked
from duobiao.labels import LabelSpace

SPACE = LabelSpace.from_dict({"labels": ["急"], "groups": {"问": {"labels": ["是", "否"], "contexts": ["问"]}}})
PAIRS = [("是我", "问"), ("坏了", None), ("快点", "别处")]


def encoder(segments: object) -> RowEncoder:
    characters = sorted({c for pair in PAIRS for c in "".join(filter(None, pair))} | set("急是否问对错打[SEP]"))
    vocabulary = {word: number for number, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *characters])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"]))
    return RowEncoder(tokenizer, InputSettings(max_length=16), 0, segments)  # type: ignore[arg-type]


def test_none_leaves_the_text_alone() -> None:
    inputs, slots = TextOnly()(PAIRS, PAIRS)
    assert inputs == [("是我", None), ("坏了", None), ("快点", None)]
    assert slots is None


def test_mined_puts_the_contexts_words_behind_it() -> None:
    segments = Mined({"问": ["是我", "打错"], "他": ["不在"]})
    windowed = "问\nAI：您好"  # a node with an earlier turn
    assert segments([("是我", windowed)], [("是我", "问 AI：您好")])[0] == [("是我", "问 AI：您好 是我 打错")]
    cleaned = [("是我", "问问"), ("坏了", None), ("快点", "别处")]  # looked up as given, read as cleaned
    assert segments(PAIRS, cleaned)[0] == [("是我", "问问 是我 打错"), ("坏了", None), ("快点", "别处")]


def test_pairwise_asks_each_label_that_the_row_is_asked() -> None:
    inputs, slots = Pairwise(SPACE, {"是": ["对"], "急": []}, "skip")(PAIRS, PAIRS)
    assert inputs == [("是我", "急"), ("是我", "是 对"), ("是我", "否"), ("坏了", "急"), ("快点", "急")]
    assert slots is not None
    assert slots.tolist() == [[0, 1, 2], [3, -1, -1], [4, -1, -1]]
    everything = Pairwise(SPACE, {}, "all")(PAIRS, PAIRS)[1]
    assert everything is not None
    assert (everything >= 0).tolist() == [[True] * 3, [True] * 3, [True, False, False]]


def test_a_batch_counts_its_inputs_anew_and_carries_features() -> None:
    encoded = encoder(Pairwise(SPACE, {"是": ["对错"]}, "skip")).encode(PAIRS)
    assert len(encoded) == 3
    longest = max(len(encoded.ids[slot]) for slot in (0, 1, 2))
    assert encoded.lengths.tolist() == [3 * longest, len(encoded.ids[3]), len(encoded.ids[4])]
    features = np.arange(6, dtype=np.float32).reshape(3, 2)
    reader = encoder(None)
    batch = reader.pad(replace(encoded, features=features), np.array([2, 0]))
    assert batch["slots"].tolist() == [[0, -1, -1], [1, 2, 3]]
    assert batch["features"].tolist() == [[4, 5], [0, 1]]
    for place, slot in enumerate([4, 0, 1, 2]):
        size = len(encoded.ids[slot])
        assert batch["input_ids"][place, :size].tolist() == encoded.ids[slot].tolist()
        assert batch["attention_mask"][place].sum() == size
    empty = reader.pad(encoded, [])
    assert empty["input_ids"].shape == (0, 1)
    assert empty["slots"].shape == (0, 3)


def test_a_special_token_in_a_word_is_text() -> None:
    reader = encoder(Mined({"问": ["[SEP]"]}))
    assert reader.encode([("是我", "问")]).ids[0].tolist().count(3) == 2


@pytest.mark.parametrize(("missing", "most"), [("skip", 3), ("all", 3)])
def test_the_largest_number_of_labels_a_row_is_asked(missing: str, most: int) -> None:
    assert most_asked(SPACE, missing) == most  # type: ignore[arg-type]
    two = LabelSpace.from_dict({"groups": {n: {"labels": [f"{n}1", f"{n}2"], "contexts": [n]} for n in "甲乙"}})
    assert most_asked(two, missing) == (4 if missing == "all" else 2)  # type: ignore[arg-type]
