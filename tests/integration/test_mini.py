"""A small encoder with tokens of its own, from plain text and a teacher."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import done, refused, tree
from encoder_forms import BY_NAME, make_form
from plain_runs import killed_at, same_weights
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor
from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer

from duobiao.config import parse_config
from duobiao.errors import ConfigError, DataError
from duobiao.models.mlm import load_with_head
from duobiao.models.pretrained import load_pretrained
from duobiao.train import mini
from duobiao.train.masked import AlignedDistillation, alignment, guess_loss
from duobiao.train.masking import NOT_ASKED
from duobiao.train.mini import make_encoder_from
from duobiao.train.plain_run import PlainResult

PARTS = ["你们快递坏了", "今天还行，喜欢", "麻烦请问一下开票 2024", "上次买的那个东西", "打给我，我生气 ab", "打错了，是我 12"]
CONFIG: dict[str, Any] = {
    "kind": "general",
    "shape": {"layers": 1, "hidden": 16, "heads": 2, "intermediate": 24},
    "vocabulary": {"size": 120},
    "text": {"steps": 24, "batch_size": 4, "max_length": 24, "lr": 1e-2, "held_out": 8},
    "train": {"checkpoint_seconds": 0, "precision": "no"},
}
TYPED = ["快递坏了，今天还行", "Ａb ａb ２０２４", "从未见过的字龘 abé", "[MASK]", " 今天\t喜欢\u3000生气 "]


def settings(**changes: Any) -> Any:
    inner = {name: {**CONFIG[name], **changes.pop(name, {})} for name in ("text", "train", "vocabulary")}
    return parse_config({**CONFIG, **inner, **changes})


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    chance = random.Random(1)
    lines = ["，".join(chance.sample(PARTS, 2)) for _ in range(120)]
    folder = tmp_path_factory.mktemp("texts")
    (folder / "a.txt").write_text("\n".join(lines[:80]), encoding="utf-8")
    (folder / "b.jsonl").write_text("\n".join(json.dumps({"text": line}) for line in lines[80:]), encoding="utf-8")
    return [folder / "a.txt", folder / "b.jsonl"]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, texts: list[Path], bert_folder: Path) -> PlainResult:
    return make_encoder_from(str(bert_folder), settings(), texts, tmp_path_factory.mktemp("mini") / "mini")


# ---- what comes out ------------------------------------------------------------------------------------


def test_both_losses_fall(found: PlainResult) -> None:
    lines = [json.loads(line) for line in (found.out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert (lines[0]["step"], lines[-1]["step"]) == (0, 24)
    assert lines[-1]["mlm"] < 0.9 * lines[1]["mlm"]
    assert lines[-1]["hidden"] < 0.95 * lines[1]["hidden"]
    assert lines[-1]["loss"] == pytest.approx(lines[-1]["mlm"] + lines[-1]["hidden"])
    held = found.notes["held_out"]
    assert held["after"]["loss"] < 0.9 * held["before"]["loss"]
    assert json.loads((found.out / "general.json").read_text(encoding="utf-8")) == found.notes
    assert [path.name for path in found.out.parent.iterdir()] == ["mini"]


def test_half_weights_are_loaded_as_single_ones(found: PlainResult) -> None:
    stored = load_file(found.out / "model.safetensors")
    assert {value.dtype for value in stored.values()} == {torch.float16}
    own, plain = load_pretrained(str(found.out)), AutoModel.from_pretrained(found.out)
    whole, info = AutoModelForMaskedLM.from_pretrained(found.out, output_loading_info=True)
    assert not info["missing_keys"]
    for model in (own.model, plain, whole):
        assert {value.dtype for value in model.state_dict().values() if value.is_floating_point()} == {torch.float32}
    for name, value in own.model.state_dict().items():
        assert torch.equal(value, stored[f"{whole.base_model_prefix}.{name}"].float())
        assert torch.equal(value, plain.state_dict()[name])
    assert whole.get_output_embeddings().weight.data_ptr() == whole.get_input_embeddings().weight.data_ptr()
    assert (plain.config.hidden_size, plain.config.num_hidden_layers) == (16, 1)


def test_weights_can_be_stored_whole(found: PlainResult, texts: list[Path], bert_folder: Path, tmp_path: Path) -> None:
    whole = make_encoder_from(str(bert_folder), settings(half=False), texts, tmp_path / "whole").out
    for name, value in load_file(whole / "model.safetensors").items():
        assert value.dtype == torch.float32
        assert torch.equal(value.half(), load_file(found.out / "model.safetensors")[name])


def test_tokens_are_its_own_everywhere(found: PlainResult) -> None:
    theirs, own = AutoTokenizer.from_pretrained(found.out), load_pretrained(str(found.out))
    for text in TYPED:
        assert theirs(text)["input_ids"] == own.tokenizer.encode(text).ids
    assert own.tokenizer.encode("ａＢ２").ids == own.tokenizer.encode("aB2").ids
    assert own.tokenizer.encode("快递").tokens == ["[CLS]", "快", "递", "[SEP]"]
    assert own.model.get_input_embeddings().weight.shape[0] == own.tokenizer.get_vocab_size()
    assert (theirs.pad_token_id, theirs.mask_token, theirs.model_max_length) == (own.pad_id, "[MASK]", 64)
    config = own.model.config
    assert (config.bos_token_id, config.eos_token_id) == (theirs.cls_token_id, theirs.sep_token_id)


@pytest.mark.parametrize("name", ["albert", "unigram", "intfloat/multilingual-e5-base", "BAAI/bge-small-zh-v1.5"])
def test_teachers_with_other_tokens_and_forms(
    name: str, texts: list[Path], albert_folder: Path, unigram_folder: Path, tiny_vocabulary: list[str], tmp_path: Path
) -> None:
    folder = {"albert": albert_folder, "unigram": unigram_folder}.get(name) or make_form(
        BY_NAME[name], tmp_path / "teacher", [word for word in tiny_vocabulary if len(word) == 1]
    )
    for start in ("layers", "random"):
        config = settings(start=start, layer_map=[2], text={"steps": 2})
        out = make_encoder_from(str(folder), config, texts, tmp_path / start).out
        own = load_pretrained(str(out))
        assert own.tokenizer.encode("快递").tokens == ["[CLS]", "快", "递", "[SEP]"]
        ids = torch.tensor([own.tokenizer.encode("快递坏了").ids])
        assert own.model(input_ids=ids).last_hidden_state.shape == (1, ids.shape[1], 16)


def test_the_teachers_vocabulary_or_a_given_one_can_be_taken(
    found: PlainResult, texts: list[Path], bert_folder: Path, tmp_path: Path
) -> None:
    teacher, few = str(bert_folder), {"steps": 2}
    theirs = make_encoder_from(teacher, settings(vocabulary={"kind": "teacher"}, text=few), texts, tmp_path / "theirs").out
    for text in TYPED:
        wanted = load_pretrained(teacher).tokenizer.encode(text).ids
        assert load_pretrained(str(theirs)).tokenizer.encode(text).ids == wanted
    given = str(found.out / "tokenizer.json")
    own = make_encoder_from(teacher, settings(vocabulary={"tokenizer": given}, text=few), texts, tmp_path / "own").out
    assert load_pretrained(str(own)).tokenizer.get_vocab() == Tokenizer.from_file(given).get_vocab()


@pytest.mark.parametrize(("weights", "left"), [({"mlm_weight": 0}, "hidden"), ({"hidden_weight": 0}, "mlm")])
def test_one_loss_alone(weights: dict[str, Any], left: str, texts: list[Path], bert_folder: Path, tmp_path: Path) -> None:
    found = make_encoder_from(str(bert_folder), settings(**weights, text={"steps": 2}), texts, tmp_path / "out")
    line = json.loads((found.out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    assert {"mlm", "hidden"} & set(line) == {left}
    for held in (found.notes["held_out"]["before"], found.notes["held_out"]["after"]):
        assert held == {"loss": held[left], left: held[left]}
    assert load_with_head(str(found.out)).trained == (left == "mlm"), "a head that learned nothing is not kept"


# ---- interruptions -------------------------------------------------------------------------------------


def test_slices_and_a_kill_end_at_the_same_weights(
    found: PlainResult, texts: list[Path], bert_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, out = (str(bert_folder), settings(), texts), tmp_path / "mini"
    assert make_encoder_from(*given, out, slice_steps=7).steps == 7
    kept = (tmp_path / "mini.run" / mini.TOKENIZER).read_bytes()
    with monkeypatch.context() as patch:
        killed_at(patch, 4)
        with pytest.raises(KeyboardInterrupt):
            make_encoder_from(*given, out)
    with pytest.raises(ConfigError, match="interrupted run with other texts or settings"):
        make_encoder_from(str(bert_folder), settings(), texts[:1], out)
    assert make_encoder_from(*given, out, slice_steps=10).steps == 20
    assert (tmp_path / "mini.run" / mini.TOKENIZER).read_bytes() == kept
    assert make_encoder_from(*given, out, slice_steps=10).finished
    assert same_weights(out, found.out)
    for name in ("general.json", "metrics.jsonl", "tokenizer.json", "config.json"):
        assert (out / name).read_bytes() == (found.out / name).read_bytes(), name
    assert [path.name for path in tmp_path.iterdir()] == ["mini"]
    before = tree(tmp_path)
    assert make_encoder_from(*given, out).finished
    assert tree(tmp_path) == before


def test_a_run_killed_before_its_first_checkpoint_hands_no_vocabulary_on(
    found: PlainResult, texts: list[Path], bert_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other.txt").write_text("售后身份\n" * 40, encoding="utf-8")
    with monkeypatch.context() as patch:
        killed_at(patch, 1)
        with pytest.raises(KeyboardInterrupt):
            make_encoder_from(str(bert_folder), settings(), [tmp_path / "other.txt"], tmp_path / "mini")
    assert (tmp_path / "mini.run" / mini.TOKENIZER).is_file()
    make_encoder_from(str(bert_folder), settings(), texts, tmp_path / "mini")
    assert same_weights(tmp_path / "mini", found.out)


def test_the_command(found: PlainResult, texts: list[Path], bert_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(json.dumps(CONFIG), encoding="utf-8")
    given = ["general-distil", "--teacher", bert_folder, "--config", tmp_path / "c.yaml", "--out", tmp_path / "mini"]
    given += [part for path in texts for part in ("--text", path)]
    assert "20 of 24 steps" in done(*given, "--slice-steps", 20).stdout
    assert "24 of 24 steps" in done(*given).stdout
    assert same_weights(tmp_path / "mini", found.out)
    assert "finished before" in done(*given).stderr
    refused(*given, "--max-steps", 3, "--set", "mlm_weight=0", "--set", "hidden_weight=0", names=("nothing would be learned",))
    assert "3 of 3 steps" in done(*given, "--max-steps", 3).stdout


def test_what_cannot_be_done_is_refused(texts: list[Path], bert_folder: Path, tmp_path: Path) -> None:
    teacher = str(bert_folder)
    (tmp_path / "bad.json").write_text("{}", encoding="utf-8")
    for error, said, changes, files in (
        (ConfigError, "reads 64 tokens at most", {"text": {"max_length": 65}}, texts),
        (ConfigError, "no tokenizer can be read", {"vocabulary": {"tokenizer": str(tmp_path / "bad.json")}}, texts),
        (ConfigError, "not there", {"vocabulary": {"tokenizer": str(tmp_path / "none.json")}}, texts),
        (DataError, "cannot be read", {}, [tmp_path / "none.txt"]),
        (DataError, "no text is given", {}, []),
    ):
        with pytest.raises(error, match=said):
            make_encoder_from(teacher, settings(**changes), files, tmp_path / "out")
        assert not (tmp_path / "out").exists()


# ---- the objective -------------------------------------------------------------------------------------


def test_alignment_by_hand() -> None:
    weights, matched = alignment(torch.tensor([[-1, 0, 0, 2, 2, 2, -1], [-1, 1, -1, 0, -1, -1, -1]]), 4)
    third = 1 / 3
    wanted = [
        [
            [0, 0.5, 0.5, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 0, 0],
            [0, 0, 0, third, third, third, 0],
            [0, 0, 0, 0, 0, 0, 0],
        ],
        [[0, 0, 0, 1, 0, 0, 0], [0, 1, 0, 0, 0, 0, 0], [0] * 7, [0] * 7],
    ]
    torch.testing.assert_close(weights, torch.tensor(wanted, dtype=torch.float32))
    assert matched.tolist() == [[1, 0, 1, 0], [1, 1, 0, 0]]


def batches(config: Any, teacher: Any, tokenizer: Tokenizer, texts: list[Path], folder: Path) -> mini.PlainText:
    corpora = mini.Corpora(config, teacher, tokenizer, 0, texts, "x", folder)
    masker = mini.Masker.of(tokenizer, config.masking, 0)
    return mini.PlainText(corpora.pack(), masker, 0, teacher.pad_id, 8)


@pytest.fixture(scope="module")
def aligned(found: PlainResult, texts: list[Path], unigram_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The objective over a tiny student and a teacher with sentencepiece's tokens; and a batch, with what made it."""
    teacher, tokenizer = load_pretrained(str(unigram_folder)), load_pretrained(str(found.out)).tokenizer
    config = settings()
    made = batches(config, teacher, tokenizer, texts, tmp_path_factory.mktemp("corpus"))
    student, layers = mini._student(config, teacher, tokenizer, 0)
    objective = AlignedDistillation(student, teacher.model, layers, 0.5, 2.0)
    objective.measure(made.sample(torch.device("cpu")))
    return objective.eval(), made, teacher, tokenizer


def test_a_teachers_piece_is_matched_by_the_mean_of_its_characters(aligned: Any) -> None:
    objective, made, teacher, _ = aligned
    batch = made.tensors(np.arange(5), torch.device("cpu"))
    with torch.no_grad():
        losses = objective(batch)
        ours = objective.student.base_model(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], output_hidden_states=True
        ).hidden_states
        theirs = teacher.model(
            input_ids=batch["other_ids"], attention_mask=batch["other_mask"], output_hidden_states=True
        ).hidden_states
    sample = made.sample(torch.device("cpu"))
    with torch.no_grad():
        states = [
            teacher.model(
                input_ids=one["other_ids"], attention_mask=one["other_mask"], output_hidden_states=True
            ).hidden_states[objective.layers[0]][one["other_mask"].bool()]
            for one in sample
        ]
    known = torch.cat(states)
    mean, scale = known.mean(0), known.std(0, unbiased=False)
    torch.testing.assert_close(objective.mean[0], mean, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(objective.scale[0], scale, atol=1e-5, rtol=1e-4)
    for row in range(5):
        wanted: list[Tensor] = []
        pieces = batch["pieces"][row].tolist()
        for piece in sorted(set(pieces) - {-1}):
            mine = torch.stack([ours[1][row, at] for at, one in enumerate(pieces) if one == piece]).mean(0)
            target = (theirs[objective.layers[0]][row, piece] - mean) / scale
            wanted.append((objective.projections[0](mine) - target).square().mean())
        assert len(wanted) > 3
        torch.testing.assert_close(losses["hidden"][row], torch.stack(wanted).mean(), atol=1e-5, rtol=1e-4)
    guessed = guess_loss(objective.student, ours[-1], batch["targets"])[0]
    torch.testing.assert_close(losses["mlm"], guessed)
    torch.testing.assert_close(losses["loss"], 0.5 * losses["mlm"] + 2 * losses["hidden"])


def test_a_teacher_that_needs_more_tokens_than_it_reads_reads_the_first(
    aligned: Any, texts: list[Path], unigram_folder: Path, tmp_path: Path
) -> None:
    """A long word that is one unknown token to the student."""
    objective, made, *_ = aligned
    (tmp_path / "long.txt").write_text("快递" + "ab" * 80 + "坏了\n", encoding="utf-8")
    few = settings(text={"steps": 20, "batch_size": 8})
    assert make_encoder_from(str(unigram_folder), few, [*texts, tmp_path / "long.txt"], tmp_path / "out").finished
    batch = made.tensors(np.arange(3), torch.device("cpu"))
    width, more = batch["other_ids"].shape[1], 70 - batch["other_ids"].shape[1]
    longer = {name: torch.cat([batch[name], batch[name].new_ones(3, more)], 1) for name in ("other_ids", "other_mask")}
    assert width < 64 < longer["other_ids"].shape[1]
    cut = {name: value[:, :64] for name, value in longer.items()}
    beyond = torch.where(batch["pieces"] == 2, 65, batch["pieces"])
    nowhere = torch.where(batch["pieces"] == 2, -1, batch["pieces"])
    with torch.no_grad():
        found = objective({**batch, **longer, "pieces": beyond})["hidden"]
        torch.testing.assert_close(found, objective({**batch, **cut, "pieces": nowhere})["hidden"])


def test_pieces_are_those_of_the_same_characters(aligned: Any) -> None:
    """In packed sequences too, with the frames of both between lines."""
    _, made, teacher, tokenizer = aligned
    for number in range(0, len(made.packed), 7):
        found = made.batch(np.array([number]), np.array([number]))
        ids = np.where(found["targets"] == NOT_ASKED, found["input_ids"], found["targets"])[0]
        assert ids.tolist() == made.packed[number].tolist()
        others, pieces = found["other_ids"][0], found["pieces"][0]
        for at, piece in zip(ids.tolist(), pieces.tolist(), strict=True):
            token = tokenizer.id_to_token(at)
            if token in ("[CLS]", "[SEP]"):
                assert piece == -1
            else:
                theirs = teacher.tokenizer.id_to_token(int(others[piece])).removeprefix("▁")
                assert token == "[UNK]" or theirs == "<unk>" or theirs.startswith(token.removeprefix("##")[0])
        assert found["other_mask"][0].all()
        assert (others[0], others[-1]) == (0, 2)


def test_the_teacher_is_no_part_of_what_is_kept(aligned: Any) -> None:
    objective, _, teacher, _ = aligned
    size = sum(value.numel() for value in objective.state_dict().values())
    student = sum(value.numel() for value in objective.student.state_dict().values())
    assert size == student + 2 * 32 + 16 * 32 + 32
    objective(aligned[1].tensors(np.arange(2), torch.device("cpu")))["loss"].sum().backward()
    assert all(parameter.grad is None for parameter in teacher.model.parameters())
    assert objective.projections[0].weight.grad is not None
