"""Tiny checkpoints, a tiny label space and tiny rows, made afresh in a temporary folder; no test reaches the network."""

from __future__ import annotations

import json
import os
import random
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded; the models are tiny, and sums come out the same
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from duobiao.data.rows import Row
from duobiao.labels import LabelSpace

HERE = {"127.0.0.1", "::1", "localhost", "0.0.0.0", "", None}
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
MAX_POSITIONS = 64


# ---- no network --------------------------------------------------------------------------------------


class NetworkBlockedError(OSError):
    """A test reached for the network."""


def _is_here(address: Any) -> bool:
    return not isinstance(address, tuple) or address[0] in HERE


@pytest.fixture(autouse=True)
def network_attempts(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Refuses and notes every connection but to this machine; a test that leaves a note behind fails.

    A test that expects attempts looks at the list and clears it.
    """
    attempts: list[str] = []

    def guard(real: Callable[..., Any], address_at: int) -> Callable[..., Any]:
        def guarded(*args: Any, **kwargs: Any) -> Any:
            address = args[address_at] if len(args) > address_at else kwargs.get("host")
            if not _is_here(address if isinstance(address, tuple) or address_at else (address,)):
                attempts.append(str(address))
                raise NetworkBlockedError(f"tests may not reach {address}")
            return real(*args, **kwargs)

        return guarded

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, guard(getattr(socket.socket, name), 1))
    for name in ("getaddrinfo", "gethostbyname"):
        monkeypatch.setattr(socket, name, guard(getattr(socket, name), 0))
    yield attempts
    assert not attempts, f"the network was asked: {attempts}"


# ---- labels and rows ---------------------------------------------------------------------------------

TOPICS = {"物流": "快递", "质量": "坏了", "发票": "开票"}
MOODS = {"正面": "喜欢", "中性": "还行", "负面": "生气"}
CALLS = {"要求升级": "找经理", "要求回电": "打给我"}
ANSWERS = {"身份确认/是": "是我", "身份确认/否": "打错了"}
NODE = "身份确认"
FILLERS = ["你们", "今天", "上次买的", "那个东西", "麻烦", "请问一下"]


@pytest.fixture(scope="session")
def tiny_space() -> LabelSpace:
    """Three independent labels, an exclusive group, an at-most-one group, and a group that one node is asked."""
    return LabelSpace.from_dict(
        {
            "labels": list(TOPICS),
            "groups": {
                "情感": {"labels": list(MOODS)},
                "升级": {"labels": list(CALLS), "at_most_one": True},
                NODE: {"labels": list(ANSWERS), "contexts": [NODE]},
            },
        }
    )


@dataclass(frozen=True)
class TinyRows:
    """Rows whose labels follow from keywords."""

    train: list[Row]
    dev: list[Row]


def _row(number: int, chance: random.Random) -> Row:
    topics = [name for name in TOPICS if chance.random() < 0.4]
    mood = chance.choice([*MOODS, None])  # None: the group is unknown
    call = chance.choice([*CALLS, None, None])
    answer = chance.choice([*ANSWERS, None]) if number % 3 == 0 else None
    words = [TOPICS[name] for name in topics] + ([MOODS[mood]] if mood else []) + ([CALLS[call]] if call else [])
    words += [ANSWERS[answer]] if answer else []
    words += chance.sample(FILLERS, 1 + number % 3)
    chance.shuffle(words)
    hidden = [name for name in TOPICS if name not in topics][:1] if number % 10 == 7 else []
    return Row(
        id=str(number),
        text="，".join(words),
        context=NODE if number % 3 == 0 else ("售后" if number % 3 == 1 else None),
        labels=tuple(name for name in (*topics, mood, call, answer) if name),
        unknown=tuple(hidden),
        source=f"tiny:{number}",
    )


@pytest.fixture(scope="session")
def tiny_rows() -> TinyRows:
    """48 rows to learn from and 16 for choosing."""
    chance = random.Random(7)
    rows = [_row(number, chance) for number in range(64)]
    return TinyRows(rows[:48], rows[48:])


@pytest.fixture(scope="session")
def write_rows() -> Callable[[Path, Sequence[Row]], Path]:
    """Writes rows as JSONL."""

    def write(path: Path, rows: Sequence[Row]) -> Path:
        records = [
            {"id": row.id, "text": row.text, "context": row.context, "labels": row.labels, "unknown": row.unknown}
            for row in rows
        ]
        path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
        return path

    return write


# ---- tiny checkpoints --------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def tiny_vocabulary(tiny_rows: TinyRows) -> list[str]:
    """BERT's special tokens and every character of the rows, with a few Latin pieces."""
    seen = sorted({character for row in (*tiny_rows.train, *tiny_rows.dev) for character in row.text + (row.context or "")})
    return [*SPECIAL, *seen, "a", "b", "##a", "##b", "s", "e", "##e", "##p", "[", "]"]


def _save_bert(folder: Path, size: int, pad: int = 0) -> Path:
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(11)
    config = BertConfig(
        vocab_size=size,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=MAX_POSITIONS,
        pad_token_id=pad,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def _save_vocabulary(folder: Path, vocabulary: Sequence[str]) -> Path:
    (folder / "vocab.txt").write_text("".join(word + "\n" for word in vocabulary), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def bert_folder(tmp_path_factory: pytest.TempPathFactory, tiny_vocabulary: list[str]) -> Path:
    """A BERT with ``tokenizer.json``."""
    from transformers import BertTokenizer

    folder = _save_bert(tmp_path_factory.mktemp("bert"), len(tiny_vocabulary))
    BertTokenizer(vocab={word: number for number, word in enumerate(tiny_vocabulary)}).save_pretrained(folder)
    assert (folder / "tokenizer.json").is_file()
    assert not (folder / "vocab.txt").is_file()
    return folder


@pytest.fixture(scope="session")
def wwm_folder(tmp_path_factory: pytest.TempPathFactory, tiny_vocabulary: list[str]) -> Path:
    """A BERT with ``vocab.txt`` only, the form of RoBERTa-wwm."""
    return _save_vocabulary(_save_bert(tmp_path_factory.mktemp("wwm"), len(tiny_vocabulary)), tiny_vocabulary)


@pytest.fixture(scope="session")
def albert_folder(tmp_path_factory: pytest.TempPathFactory, tiny_vocabulary: list[str]) -> Path:
    """An ALBERT with shared layers, an embedding of 16 in a width of 32, and BERT's ``vocab.txt`` only."""
    import torch
    from transformers import AlbertConfig, AlbertModel

    torch.manual_seed(12)
    folder = tmp_path_factory.mktemp("albert")
    config = AlbertConfig(
        vocab_size=len(tiny_vocabulary),
        embedding_size=16,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=MAX_POSITIONS,
        pad_token_id=0,
    )
    AlbertModel(config).save_pretrained(folder)
    return _save_vocabulary(folder, tiny_vocabulary)


@pytest.fixture(scope="session")
def unigram_folder(tmp_path_factory: pytest.TempPathFactory, tiny_vocabulary: list[str]) -> Path:
    """A BERT with a Unigram tokenizer in XLM-R's form: ``<s> A </s> </s> B </s>``, ``<pad>`` = 1."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    special = ["<s>", "<pad>", "</s>", "<unk>"]
    pieces = [word for word in tiny_vocabulary if word not in SPECIAL and not word.startswith("##")]
    scored = [(word, 0.0) for word in special] + [("▁", -2.0)] + [(word, -3.0 - at / 100) for at, word in enumerate(pieces)]
    tokenizer = Tokenizer(models.Unigram(scored, unk_id=3))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.add_special_tokens(special)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B:0 </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    folder = _save_bert(tmp_path_factory.mktemp("unigram"), len(scored), pad=1)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"pad_token": "<pad>", "cls_token": "<s>", "sep_token": "</s>", "unk_token": "<unk>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder
