"""Encoders that start at the layers of a larger one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import (
    AlbertConfig,
    AlbertModel,
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    PreTrainedModel,
    XLMRobertaConfig,
    XLMRobertaModel,
)

from duobiao.errors import ConfigError
from duobiao.models.internals import inside, layer_count, layers_of
from duobiao.models.shrink import (
    Parts,
    _best_product,
    check_smaller,
    make_encoder,
    smaller_config,
    start_at_layers,
    with_tokens,
)

SIZES = {
    "vocab_size": 40,
    "hidden_size": 24,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 36,
    "max_position_embeddings": 32,
}


def stirred(model: PreTrainedModel) -> PreTrainedModel:
    for parameter in model.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return model.eval()


def bert() -> PreTrainedModel:
    torch.manual_seed(1)
    return stirred(BertModel(BertConfig(**SIZES), add_pooling_layer=False))


def albert(groups: int = 1, inner: int = 1) -> PreTrainedModel:
    torch.manual_seed(2)
    config = AlbertConfig(**SIZES, embedding_size=8, num_hidden_groups=groups, inner_group_num=inner)
    return stirred(AlbertModel(config, add_pooling_layer=False))


def roberta() -> PreTrainedModel:
    torch.manual_seed(3)
    return stirred(XLMRobertaModel(XLMRobertaConfig(**SIZES, pad_token_id=1), add_pooling_layer=False))


def cut(source: PreTrainedModel, picked: tuple[int, ...], **sizes: int) -> tuple[PreTrainedModel, torch.Tensor]:
    wanted = {name: SIZES[name] for name in ("hidden_size", "num_attention_heads", "intermediate_size")} | sizes
    target = make_encoder(smaller_config(source.config, num_hidden_layers=len(picked), **wanted)).eval()
    return target, start_at_layers(target, source, picked)


def batch() -> dict[str, torch.Tensor]:
    torch.manual_seed(4)
    ids = torch.randint(5, 40, (3, 9))
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


@pytest.mark.parametrize("make", [bert, roberta, albert], ids=["bert", "roberta", "albert"])
def test_all_layers_at_full_width_are_the_source_itself(make: Callable[[], PreTrainedModel]) -> None:
    source = make()
    target, kept = cut(source, (1, 2, 3, 4))
    assert kept.tolist() == list(range(24))
    data = batch()
    torch.testing.assert_close(target(**data).last_hidden_state, source(**data).last_hidden_state, rtol=1e-5, atol=1e-5)


def test_the_first_layers_alone_compute_what_the_source_has_there() -> None:
    source, data = bert(), batch()
    target, _ = cut(source, (1, 2))
    torch.testing.assert_close(target(**data).last_hidden_state, inside(source, data).hidden[2], rtol=1e-5, atol=1e-5)


def test_each_layer_starts_at_the_one_picked() -> None:
    source = bert()
    target, _ = cut(source, (2, 4, 4))
    for new, number in zip(layers_of(target), (2, 4, 4), strict=True):
        wanted = layers_of(source)[number - 1].state_dict()
        assert all(torch.equal(value, wanted[name]) for name, value in new.state_dict().items())


def test_every_picked_layer_of_albert_is_the_shared_one_and_learns_alone() -> None:
    source = albert()
    target, _ = cut(source, (2, 4))
    first, second = layers_of(target)
    assert first is not second
    shared = layers_of(source)[0].state_dict()
    for layer in (first, second):
        assert all(torch.equal(value, shared[name]) for name, value in layer.state_dict().items())
    assert target.get_input_embeddings().weight.shape == (40, 8)
    assert layer_count(target.config) == 2


def test_groups_of_albert_are_counted_by_application() -> None:
    source = albert(groups=2, inner=2)
    assert layer_count(source.config) == 8
    layers = layers_of(source)
    groups = source.encoder.albert_layer_groups
    assert [[layer is one for group in groups for one in group.albert_layers].index(True) for layer in layers] == [
        0, 1, 0, 1, 2, 3, 2, 3,
    ]  # fmt: skip
    target, _ = cut(source, (2, 7))
    assert torch.equal(Parts.of(layers_of(target)[1]).query.weight, Parts.of(groups[1].albert_layers[0]).query.weight)


@pytest.mark.parametrize("make", [bert, albert], ids=["bert", "albert"])
def test_dimensions_that_nothing_reads_or_writes_are_the_ones_to_go(make: Callable[[], PreTrainedModel]) -> None:
    """A source that uses 18 of its 24 dimensions is kept exactly: the norms see a mean and variance that zeros scale."""
    source = make()
    dead = [1, 5, 8, 13, 20, 23]
    live = [number for number in range(24) if number not in dead]
    with torch.no_grad():
        for layer in {id(one): one for one in layers_of(source)}.values():
            parts = Parts.of(layer)
            for linear in (parts.query, parts.key, parts.value, parts.up):
                linear.weight[:, dead] = 0
    _, kept = cut(source, (1, 3), hidden_size=18, num_attention_heads=2, intermediate_size=30)
    assert kept.tolist() == live


def test_narrow_parts_are_slices_of_the_source() -> None:
    source = bert()
    target, kept = cut(source, (4,), hidden_size=20, intermediate_size=30)
    new, old = Parts.of(layers_of(target)[0]), Parts.of(layers_of(source)[3])
    torch.testing.assert_close(new.norm.weight, old.norm.weight[kept])
    torch.testing.assert_close(target.get_input_embeddings().weight, source.get_input_embeddings().weight[:, kept])
    rows = {tuple(row) for row in old.up.weight[:, kept].tolist()}
    assert {tuple(row) for row in new.up.weight.tolist()} <= rows
    worth = (old.up.weight.norm(dim=1) * old.down.weight.norm(dim=0)).detach()
    assert worth.sort().values[-30] == min(  # the neurons that went are those of least worth
        float(worth[at])
        for at in range(36)
        if tuple(old.up.weight[at, kept].tolist()) in {tuple(r) for r in new.up.weight.tolist()}
    )


def test_narrow_heads_are_the_best_approximation_of_their_rank() -> None:
    torch.manual_seed(5)
    left, right = torch.randn(8, 20), torch.randn(8, 15)
    one, two = _best_product(left, right, 5, 2.0)
    assert one.shape == (5, 20)
    wanted = torch.linalg.svdvals(2 * left.T @ right)
    error = (2 * left.T @ right - one.T @ two).norm()
    torch.testing.assert_close(error, wanted[5:].square().sum().sqrt(), rtol=1e-4, atol=1e-4)  # Eckart-Young
    one, two = _best_product(left, right, 11, 1.0)
    torch.testing.assert_close(one.T @ two, left.T @ right, rtol=1e-4, atol=1e-4)
    assert one[8:].abs().min() > 0
    assert not two[8:].any()


def test_narrow_heads_keep_the_size_of_their_scores() -> None:
    """Heads of rank 3 in a width of 6 lose nothing when they become 3 wide."""
    source = bert()
    with torch.no_grad():
        for layer in layers_of(source):
            parts = Parts.of(layer)
            for linear in (parts.query, parts.value):
                linear.weight.view(4, 6, 24)[:, 3:] = 0
                linear.bias.view(4, 6)[:, 3:] = 0
    target = make_encoder(smaller_config(source.config, num_hidden_layers=4, hidden_size=24, num_attention_heads=4))
    from duobiao.models import shrink

    layer, old = Parts.of(layers_of(target)[0]), Parts.of(layers_of(source)[0])
    narrow = Parts(
        *(torch.nn.Linear(24, 12) for _ in range(3)),
        torch.nn.Linear(12, 24),
        *(layer.norm,) * 1,
        layer.up,
        layer.down,
        layer.norm,
    )
    with torch.no_grad():
        shrink._cut_heads(narrow, old, torch.arange(24), (4, 4))
    states = torch.randn(7, 24)

    def attend(parts: Any, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        query, key, value = (part(states).view(7, 4, size).transpose(0, 1) for part in (parts.query, parts.key, parts.value))
        scores = query @ key.transpose(1, 2) / size**0.5
        mixed = (scores.softmax(-1) @ value).transpose(0, 1).reshape(7, -1)
        return scores, mixed @ parts.mix.weight.T

    for new, wanted in zip(attend(narrow, 3), attend(old, 6), strict=True):
        torch.testing.assert_close(new, wanted, rtol=1e-3, atol=1e-3)


def test_what_cannot_be_cut_is_refused() -> None:
    source = bert()
    with pytest.raises(ConfigError) as caught:
        check_smaller(source.config, smaller_config(source.config, num_hidden_layers=2, hidden_size=28, intermediate_size=99))
    assert "hidden_size: 28, teacher 24" in str(caught.value)
    assert "intermediate_size: 99, teacher 36" in str(caught.value)
    other = DistilBertModel(DistilBertConfig(vocab_size=20, dim=8, hidden_dim=8, n_layers=1, n_heads=2))
    with pytest.raises(ConfigError, match="'distilbert' encoder cannot be taken apart"):
        layers_of(other)


@pytest.mark.parametrize("make", [bert, roberta, albert], ids=["bert", "roberta", "albert"])
@pytest.mark.parametrize("pad", [0, 1])
def test_fewer_tokens_give_the_same_states(make: Callable[[], PreTrainedModel], pad: int) -> None:
    source = make()
    was = source.config.pad_token_id
    kept = torch.tensor([*([0] if was and pad else []), was, *([3] if pad > was else []), *range(5, 30)])
    pad = kept.tolist().index(was)
    small = with_tokens(source, kept, pad).eval()
    assert small.get_input_embeddings().weight.shape[0] == len(kept) == small.config.vocab_size
    assert small.config.pad_token_id == pad
    ids = torch.randint(2, len(kept), (2, 6))
    ids[1, 4:] = pad
    mask = torch.tensor([[1] * 6, [1] * 4 + [0] * 2])
    found = small(input_ids=ids, attention_mask=mask).last_hidden_state
    wanted = source(input_ids=kept[ids], attention_mask=mask).last_hidden_state
    torch.testing.assert_close(found[mask == 1], wanted[mask == 1])
