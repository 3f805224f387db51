"""Losses inside the encoder against a slow reference in numpy; layer maps."""

from __future__ import annotations

from math import gcd
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AlbertConfig, AlbertModel, BertConfig, BertModel, PreTrainedModel

from duobiao.config.tinybert import MatchSettings
from duobiao.errors import ConfigError
from duobiao.models.internals import inside, layers_of
from duobiao.train.intermediate import IntermediateDistillation, attention_loss, map_layers, per_row, state_loss

SIZES = {"vocab_size": 40, "intermediate_size": 24, "max_position_embeddings": 32}


def bert(layers: int = 4, width: int = 16, heads: int = 4, seed: int = 0) -> PreTrainedModel:
    torch.manual_seed(seed)
    sizes = {"num_hidden_layers": layers, "hidden_size": width, "num_attention_heads": heads}
    model = BertModel(BertConfig(**SIZES, **sizes), add_pooling_layer=False).eval()
    for parameter in model.parameters():  # not so close to zero that nothing could be told apart
        parameter.data += 0.2 * torch.randn_like(parameter)
    return model


def albert(layers: int = 4) -> PreTrainedModel:
    torch.manual_seed(3)
    sizes = {"num_hidden_layers": layers, "hidden_size": 16, "num_attention_heads": 4, "embedding_size": 6}
    return AlbertModel(AlbertConfig(**SIZES, **sizes), add_pooling_layer=False).eval()


def batch(lengths: tuple[int, ...] = (5, 3, 7), longest: int = 7, fill: int = 0) -> dict[str, torch.Tensor]:
    random = np.random.default_rng(5)
    ids = np.full((len(lengths), longest), fill)
    mask = np.zeros((len(lengths), longest), dtype=np.int64)
    for row, length in enumerate(lengths):
        ids[row, :length] = random.integers(1, 40, length)
        mask[row, :length] = 1
    types = np.where(np.arange(longest) > 2, 1, 0) * mask
    arrays = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


# ---- layer maps ----------------------------------------------------------------------------------------


def test_layer_maps_are_those_of_the_paper() -> None:
    assert map_layers("uniform", 4, 12) == (3, 6, 9, 12)
    assert map_layers("last", 4, 12) == (9, 10, 11, 12)
    assert map_layers("uniform", 6, 12) == (2, 4, 6, 8, 10, 12)
    assert map_layers([1, 1, 12], 3, 12) == (1, 1, 12)
    assert map_layers("uniform", 5, 12)[-1] == 12
    assert map_layers("uniform", 3, 3) == map_layers("last", 3, 3) == (1, 2, 3)


@pytest.mark.parametrize("students", range(1, 13))
def test_a_uniform_map_rises_to_the_last_layer(students: int) -> None:
    found = map_layers("uniform", students, 12)
    assert list(found) == sorted(set(found))
    assert found[0] >= 1
    assert found[-1] == 12


def test_layer_maps_that_do_not_fit_are_refused_with_every_reason() -> None:
    with pytest.raises(ConfigError, match="the student has 5 layers, its teacher 4"):
        map_layers("uniform", 5, 4)
    with pytest.raises(ConfigError) as caught:
        map_layers([1, 9, 13], 2, 8)
    assert [part in str(caught.value) for part in ("no layer 9", "no layer 13", "3 layers, the student has 2")] == [True] * 3


# ---- what happens inside -------------------------------------------------------------------------------


@pytest.mark.parametrize("encoder", [bert(), albert()], ids=["bert", "albert"])
def test_scores_are_those_before_the_softmax_and_change_no_output(encoder: PreTrainedModel) -> None:
    data = batch()
    plain = encoder(**data).last_hidden_state
    found = inside(encoder, data, {2, 4})
    assert torch.equal(found.hidden[-1], plain)
    assert set(found.scores) == {2, 4}
    assert encoder.config._attn_implementation == "sdpa"
    encoder.config._attn_implementation = "eager"
    attentions = encoder(**data, output_attentions=True).attentions
    encoder.config._attn_implementation = "sdpa"
    for number, scores in found.scores.items():
        masked = scores.masked_fill(data["attention_mask"][:, None, None] == 0, -1e9)
        torch.testing.assert_close(masked.softmax(-1), attentions[number - 1])


def test_a_shared_layer_counts_each_time_it_is_applied() -> None:
    encoder = albert(layers=5)
    assert len(layers_of(encoder)) == 5
    assert len({id(layer) for layer in layers_of(encoder)}) == 1
    assert len(inside(encoder, batch()).hidden) == 6


# ---- losses --------------------------------------------------------------------------------------------


def test_losses_by_hand() -> None:
    ours = torch.tensor([[[1.0, 2.0], [3.0, 5.0]]])
    theirs = torch.tensor([[[0.0, 2.0], [9.0, 9.0]]])
    assert state_loss(ours, theirs, torch.tensor([[1, 0]])).tolist() == [0.5]  # (1² + 0²) / 2
    assert state_loss(ours, theirs, torch.tensor([[1, 1]])).tolist() == [13.25]  # (0.5 + (36 + 16) / 2) / 2
    scores = torch.tensor([[[[1.0, 7.0], [7.0, 7.0]], [[3.0, 7.0], [7.0, 7.0]]]])
    other = torch.tensor([[[[0.0, 5.0], [5.0, 5.0]], [[1.0, 5.0], [5.0, 5.0]]]])
    assert attention_loss(scores, other, torch.tensor([[1, 0]]), "scores").tolist() == [2.5]  # (1² + 2²) / 2 heads
    assert attention_loss(scores, other[:, :1], torch.tensor([[1, 0]]), "scores").tolist() == [4.0]  # (2 - 0)², heads averaged
    assert attention_loss(scores, other, torch.tensor([[1, 0]]), "probabilities").tolist() == [0.0]  # one token: always 1


def test_a_row_counts_the_mean_of_its_inputs() -> None:
    slots = torch.tensor([[0, -1, 1], [-1, -1, -1], [-1, 2, -1]])
    assert per_row(torch.tensor([2.0, 4.0, 5.0]), slots).tolist() == [3.0, 0.0, 5.0]


def reference(
    student: Any, teacher: Any, objective: Any, data: Any, layers: Any, match: str, relative: bool
) -> dict[str, np.ndarray]:
    """The same losses with loops over rows, layers, heads and tokens, from eager attention's own projections."""
    found = {name: np.zeros(len(data["input_ids"])) for name in ("embedding", "hidden", "attention")}
    for row, mask in enumerate(data["attention_mask"]):
        size = int(mask.sum())
        alone = {name: values[row : row + 1, :size] for name, values in data.items()}  # no padding at all
        with torch.no_grad():
            ours, theirs = (one(**alone, output_hidden_states=True).hidden_states for one in (student, teacher))
        ours, theirs = ([states[0].double().numpy() for states in side] for side in (ours, theirs))
        into, onto = (
            getattr(objective, name).weight.detach().double().numpy() for name in ("embedding_projection", "hidden_projection")
        )
        found["embedding"][row] = error(ours[0] @ into.T, theirs[0], relative)
        for own, other in enumerate(layers, 1):
            found["hidden"][row] += error(ours[own] @ onto.T, theirs[other], relative)
            maps = [heads_of(one, number, states) for one, number, states in ((student, own, ours), (teacher, other, theirs))]
            heads = gcd(len(maps[0]), len(maps[1]))
            pair = []
            for side in maps:
                if match == "probabilities":
                    side = np.exp(side) / np.exp(side).sum(-1, keepdims=True)
                if match == "centred":
                    side = side - side.mean(-1, keepdims=True)
                part = len(side) // heads
                pair.append(np.stack([side[head * part : (head + 1) * part].mean(0) for head in range(heads)]))
            found["attention"][row] += error(pair[0], pair[1], relative)
    return found


def error(ours: np.ndarray, theirs: np.ndarray, relative: bool) -> float:
    return float(((ours - theirs) ** 2).mean() / ((theirs**2).mean() if relative else 1))


def heads_of(encoder: Any, number: int, states: list[np.ndarray]) -> np.ndarray:
    layer = layers_of(encoder)[number - 1]
    own = layer.attention if hasattr(layer, "ffn") else layer.attention.self
    projected = []
    for linear in (own.query, own.key):
        weight, bias = linear.weight.detach().double().numpy(), linear.bias.detach().double().numpy()
        projected.append((states[number - 1] @ weight.T + bias).reshape(len(states[0]), own.num_attention_heads, -1))
    query, key = projected
    return np.einsum("qhd,khd->hqk", query, key) / np.sqrt(query.shape[-1])


@pytest.mark.parametrize("match", ["scores", "centred", "probabilities"])
@pytest.mark.parametrize("relative", [False, True], ids=["mse", "relative"])
@pytest.mark.parametrize("heads", [4, 2, 3], ids=["same heads", "half", "other"])
@pytest.mark.parametrize("kind", ["bert", "albert"])
def test_losses_are_those_of_the_reference(kind: str, heads: int, match: Any, relative: bool) -> None:
    teacher = bert() if kind == "bert" else albert()
    student = bert(layers=2, width=12, heads=heads, seed=1)
    settings = MatchSettings(match=match, relative=relative, embedding_weight=0.5, hidden_weight=2.0, attention_weight=3.0)
    torch.manual_seed(8)
    objective = IntermediateDistillation(student, student, teacher, (2, 4), settings).eval()
    data = batch()
    losses = objective(data)
    wanted = reference(student, teacher, objective, data, (2, 4), match, relative)
    for name, values in wanted.items():
        np.testing.assert_allclose(losses[name].detach().numpy(), values, rtol=1e-4, atol=1e-6, err_msg=name)
    total = 0.5 * wanted["embedding"] + 2 * wanted["hidden"] + 3 * wanted["attention"]
    np.testing.assert_allclose(losses["loss"].detach().numpy(), total, rtol=1e-4)


def test_padding_counts_nowhere() -> None:
    student, teacher = bert(layers=2, width=12, seed=1), bert()
    objective = IntermediateDistillation(student, student, teacher, (2, 4), MatchSettings()).eval()
    tight, wide = objective(batch()), objective(batch(longest=12, fill=9))
    for name, values in tight.items():
        torch.testing.assert_close(wide[name], values, rtol=1e-4, atol=1e-5)


def test_gradient_reaches_student_and_projections_but_no_state_holds_the_teacher() -> None:
    student, teacher = bert(layers=2, width=12, seed=1), bert()
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    objective = IntermediateDistillation(student, student, teacher, (2, 4), MatchSettings()).train()
    objective(batch())["loss"].sum().backward()
    names = {name for name, parameter in objective.named_parameters() if parameter.grad is not None}
    assert names == {name for name, _ in objective.named_parameters()}
    assert {name.split(".")[0] for name in names} == {"student", "embedding_projection", "hidden_projection"}
    assert {name.split(".")[0] for name in objective.state_dict()} == {"student", "embedding_projection", "hidden_projection"}
    assert not teacher.training
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())


def test_a_student_with_other_ids_reads_what_its_teacher_reads() -> None:
    student, teacher = bert(layers=2, width=12, seed=1), bert()
    kept = torch.tensor([0, *range(39, 0, -1)])
    torch.manual_seed(1)
    plain = IntermediateDistillation(student, student, teacher, (2, 4), MatchSettings()).eval()
    torch.manual_seed(1)
    pruned = IntermediateDistillation(student, student, teacher, (2, 4), MatchSettings(), tokens=kept).eval()
    data = batch()
    table = student.get_input_embeddings()
    wanted = plain(data)
    table.weight.data = table.weight.data[kept]
    found = pruned({**data, "input_ids": kept.argsort()[data["input_ids"]]})
    for name, values in wanted.items():
        torch.testing.assert_close(found[name], values)
    assert "tokens" not in pruned.state_dict()


def test_without_attention_no_scores_are_computed() -> None:
    student, teacher = bert(layers=2, width=12, seed=1), bert()
    objective = IntermediateDistillation(student, student, teacher, (2, 4), MatchSettings(attention_weight=0))
    assert set(objective(batch())) == {"loss", "embedding", "hidden"}


def test_rows_without_input_have_no_loss() -> None:
    student, teacher = bert(layers=2, width=12, seed=1), bert()
    objective = IntermediateDistillation(student, student, teacher, (2, 4), MatchSettings())
    none = {name: values[:0] for name, values in batch().items()}
    found = objective({**none, "slots": torch.full((2, 3), -1)})
    assert set(found) == set(objective(batch()))
    assert found["loss"].tolist() == [0.0, 0.0]
    found["loss"].sum().backward()


def test_centred_scores_do_not_see_what_the_softmax_does_not() -> None:
    torch.manual_seed(0)
    ours, theirs, mask = torch.randn(2, 4, 5, 5), torch.randn(2, 4, 5, 5), torch.tensor([[1] * 5, [1, 1, 1, 0, 0]])
    moved = ours + torch.randn(2, 4, 5, 1)
    for match, alike in (("centred", True), ("probabilities", True), ("scores", False)):
        one, two = attention_loss(ours, theirs, mask, match), attention_loss(moved, theirs, mask, match)  # type: ignore[arg-type]
        assert torch.allclose(one, two, atol=1e-5) is alike
    assert attention_loss(ours, theirs, torch.tensor([[1, 0, 0, 0, 0]] * 2), "centred", True).tolist() == [0.0, 0.0]
