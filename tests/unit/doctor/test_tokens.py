import json
from pathlib import Path

import pytest
from doctor_rows import dataset
from tokenizers import Tokenizer, models, pre_tokenizers

from duobiao.bundle import Bundle, write_bundle
from duobiao.data.rows import Row
from duobiao.doctor.tokens import check_tokens, count_tokens, length_table, load_reader
from duobiao.errors import BundleError, ConfigError
from duobiao.labels import LabelSpace

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"快递没到坏了", "a", "##b"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "vocab.txt").write_text("".join(word + "\n" for word in WORDS), encoding="utf-8")
    return tmp_path


def test_unknown_characters_are_counted_and_named(folder: Path):
    data = dataset(["快递没到", "快递😂没到😂", Row(id="3", text="坏了", labels=(), context="龘"), "ab"])
    tokens = count_tokens(data, load_reader(folder))
    assert tokens.exact
    assert tokens.unknown == {1: ["😂", "😂"], 2: ["龘"]}
    assert tokens.lengths.tolist() == [6, 8, 6, 4]
    (finding,) = check_tokens(data, tokens)
    assert (finding.kind, finding.severity, finding.count, finding.total) == ("unknown", "warning", 2, 4)
    assert finding.values["names"] == [("😂", 2), ("龘", 1)]
    assert (finding.values["kinds"], finding.values["tokens"]) == (2, 3)


def test_vocab_txt_gives_the_tokenizer_that_tokenizer_json_gives(folder: Path, tmp_path: Path):
    reader = load_reader(folder)
    assert reader is not None
    saved = tmp_path / "other"
    saved.mkdir()
    reader.encoder.tokenizer.save(str(saved / "tokenizer.json"))
    for place in (saved, saved / "tokenizer.json"):
        again = load_reader(place)
        assert again is not None
        assert again.read([("快递B", "坏")]) == reader.read([("快递B", "坏")])


def test_a_unigram_tokenizer_is_read_too(tmp_path: Path):
    tokenizer = Tokenizer(models.Unigram([("<unk>", 0.0), ("▁", -2.0), ("快递", -3.0), ("坏", -4.0)], unk_id=0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    tokens = count_tokens(dataset(["快递坏😂", "坏"]), load_reader(tmp_path / "tokenizer.json"))
    assert tokens.lengths.tolist() == [4, 2]
    assert tokens.unknown == {0: ["😂"]}


def test_a_tokenizer_of_bytes_knows_everything(tmp_path: Path):
    tokenizer = Tokenizer(models.BPE({letter: at for at, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    tokens = count_tokens(dataset(["坏😂"]), load_reader(tmp_path))
    assert tokens.lengths.tolist() == [7]  # bytes in UTF-8
    assert tokens.unknown == {}


def test_rows_over_the_models_length_are_cut(folder: Path):
    data = dataset({"train": ["快" * 126, "快" * 127, *["快递"] * 20], "test": ["快" * 700]})
    tokens = count_tokens(data, load_reader(folder))
    (finding,) = check_tokens(data, tokens)
    assert (finding.kind, finding.severity, finding.count) == ("truncated", "warning", 2)
    assert [example.note for example in finding.examples] == ["129", "702"]
    assert finding.values["enough"] == 512
    assert length_table(data, tokens)["train"] == {
        "rows": 22,
        "median": 4.0,
        "max": 129,
        "longer": {"64": 2, "128": 1, "256": 0, "512": 0},
    }


def test_without_a_model_lengths_are_estimated_and_nothing_is_unknown():
    data = dataset(["快递没到😂", "order 123456", Row(id="3", text="好", labels=(), context="节点")])
    tokens = count_tokens(data, None)
    assert not tokens.exact
    assert tokens.lengths.tolist() == [7, 5, 6]
    assert tokens.unknown == {}


def test_a_bundle_brings_its_tokenizer_and_its_length(folder: Path, tmp_path: Path):
    reader = load_reader(folder)
    assert reader is not None
    settings = {"context": "none", "max_length": 8, "clean": ["whitespace"]}
    files = {"tokenizer.json": reader.encoder.tokenizer.to_str()}
    space = LabelSpace(("A", "B"))
    write_bundle(tmp_path / "b", Bundle("encoder", "b", space, settings, {"pad_id": 0}, {}, {}, {}, files, {}))
    loaded = load_reader(tmp_path / "b")
    assert loaded is not None
    tokens = count_tokens(dataset([Row(id="1", text="快  递", labels=(), context="坏")]), loaded)
    assert (tokens.max_length, tokens.lengths.tolist()) == (8, [4])
    write_bundle(tmp_path / "linear", Bundle("linear", "l", space, settings, {}, {}, {}, {}, {}, {}))
    assert load_reader(tmp_path / "linear") is None


def test_what_is_no_tokenizer_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"no bundle, tokenizer\.json"):
        load_reader(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ConfigError, match="no tokenizer that can be read"):
        load_reader(tmp_path)
    (tmp_path / "bundle.json").write_text(json.dumps({"format": "other"}), encoding="utf-8")
    with pytest.raises(BundleError):
        load_reader(tmp_path)


def test_surrogates_do_not_stop_the_tokenizer(folder: Path):
    assert count_tokens(dataset(["快\ud800递"]), load_reader(folder)).lengths.tolist() == [4]
