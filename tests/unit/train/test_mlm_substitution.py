"""Guesses of a masked language model, from tiny checkpoints."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForMaskedLM, BertConfig, BertForMaskedLM, BertTokenizer

from duobiao import progress
from duobiao.config import AugmentSettings
from duobiao.data.augment import augment
from duobiao.data.rows import Row
from duobiao.models.pretrained import load_pretrained
from duobiao.train.mlm_substitution import MaskedLM, masked_lm

WORDS = [["快递", "坏", "了", "，", "ab", "喜欢", "你们"], ["发票", "抬头写错"], ["麻烦"]]


@pytest.fixture(scope="module")
def mlm_folder(tmp_path_factory: pytest.TempPathFactory, tiny_vocabulary: list[str]) -> Path:
    torch.manual_seed(9)
    words = [*tiny_vocabulary, "发", "抬", "头", "写", "错", "##快"]
    words = list(dict.fromkeys(words))
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=64,
    )
    model = BertForMaskedLM(config)
    for parameter in model.parameters():
        parameter.data += 0.5 * torch.randn_like(parameter)
    folder = tmp_path_factory.mktemp("mlm")
    model.save_pretrained(folder)
    BertTokenizer(vocab={word: number for number, word in enumerate(words)}).save_pretrained(folder)
    return folder


def guesser(folder: Path, top: int = 4) -> MaskedLM:
    found = masked_lm(AugmentSettings(copies=1, mlm=str(folder), mlm_top=top))
    assert isinstance(found, MaskedLM)
    return found


class Notes:
    def __init__(self) -> None:
        self.said: list[str] = []

    def start(self, label: str, total: int, done: int) -> progress.Task:
        return progress.SILENT.start(label, total, done)

    def finish(self, task: progress.Task) -> None: ...

    def say(self, message: str) -> None:
        self.said.append(message)


def test_guesses_are_the_likeliest_words_in_the_masked_place(mlm_folder: Path) -> None:
    found = guesser(mlm_folder)(WORDS)
    assert [sorted(row) for row in found] == [[0, 1, 2, 5, 6], [0], [0]]  # no signs, no Latin, no word of four tokens
    model = AutoModelForMaskedLM.from_pretrained(mlm_folder).eval()
    tokenizer = load_pretrained(str(mlm_folder)).tokenizer
    chinese = {token: number for token, number in tokenizer.get_vocab().items() if len(token) == 1 and token > "\u4e00"}
    chinese.pop("，", None)
    for row, number in ((0, 0), (0, 1), (1, 0)):
        begin = 1 + sum(1 if word == "ab" else len(word) for word in WORDS[row][:number])
        places = list(range(begin, begin + len(WORDS[row][number])))
        ids = torch.tensor([tokenizer.encode("".join(WORDS[row])).ids])
        ids[0, places] = tokenizer.token_to_id("[MASK]")
        with torch.no_grad():
            scores = model(input_ids=ids).logits[0, places].log_softmax(-1)
        ranked = sorted(
            product(chinese, repeat=len(places)),
            key=lambda tokens: -sum(float(scores[at, chinese[token]]) for at, token in enumerate(tokens)),
        )
        words = ["".join(tokens) for tokens in ranked]
        words.remove(WORDS[row][number])
        assert list(found[row][number]) == words[:4]


def test_guesses_do_not_depend_on_the_other_rows(mlm_folder: Path) -> None:
    guess = guesser(mlm_folder)
    assert [guess([words])[0] for words in WORDS] == guess(WORDS)


def test_a_word_that_pieces_of_tokens_overlap_is_left_alone(mlm_folder: Path) -> None:
    words = [["快", "递坏"], ["ab快", "递"]]
    assert [sorted(row) for row in guesser(mlm_folder)(words)] == [[0, 1], [1]]


def test_rows_are_made_of_guesses(mlm_folder: Path) -> None:
    settings = AugmentSettings(copies=6, drop=0, replace=0, ngram=0, join=0, mlm=str(mlm_folder), mlm_replace=0.5)
    rows = [Row("a", "快递坏了，喜欢你们")]
    made = augment(rows, settings, 0, masked_lm(settings))
    assert len(made) >= 4
    assert all(len(row.text) == len(rows[0].text) and row.text[4] == "，" for row in made)
    assert [row.text for row in augment(rows, settings, 0, masked_lm(settings))] == [row.text for row in made]


def test_an_encoder_without_head_is_noted_and_other_ways_are_used(bert_folder: Path, unigram_folder: Path) -> None:
    for folder, lacks in ((bert_folder, "masked-LM head"), (unigram_folder, "masked-LM head")):
        notes = Notes()
        with progress.use(notes):
            settings = AugmentSettings(copies=3, mlm=str(folder))
            assert masked_lm(settings) is None
        assert [lacks in note and "other ways" in note for note in notes.said] == [True]
        assert augment([Row("a", "快递昨天坏了，今天开票")], settings, 0, None)


def test_nothing_is_loaded_where_nothing_is_wanted(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "none")
    assert masked_lm(AugmentSettings(copies=2)) is None
    assert masked_lm(AugmentSettings(copies=0, mlm=nowhere)) is None
    assert masked_lm(AugmentSettings(copies=1, mlm=nowhere, mlm_replace=0)) is None


def test_a_word_is_no_guess_for_itself(mlm_folder: Path) -> None:
    guess = guesser(mlm_folder, top=1000)
    for words, found in zip(WORDS, guess(WORDS), strict=True):
        assert all(len(options) > 20 and words[number] not in options for number, options in found.items())
