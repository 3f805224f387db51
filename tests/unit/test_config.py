from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

import duobiao.config
from duobiao.config import (
    BiGRUConfig,
    RunSettings,
    TeacherConfig,
    load_config,
    parse_config,
    shipped_configs,
)
from duobiao.errors import ConfigError

MODELS = [found for found in vars(duobiao.config).values() if isinstance(found, type) and issubclass(found, BaseModel)]


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_system_of_the_mission_is_shipped():
    kinds = {name: load_config(name).kind for name in shipped_configs()}
    wanted = {"linear": "linear", "teacher-roberta-wwm": "encoder", "teacher-albert": "encoder", "teacher-small": "encoder"}
    assert kinds.items() >= {**wanted, "bigru-a": "bigru", "bigru-b": "bigru"}.items()
    bigru_a, bigru_b, small = (load_config(name) for name in ("bigru-a", "bigru-b", "teacher-small"))
    assert isinstance(bigru_a, BiGRUConfig)
    assert isinstance(bigru_b, BiGRUConfig)
    assert isinstance(small, TeacherConfig)
    assert (bigru_a.model, bigru_b.model) == ("A", "B")
    assert (bigru_a.logits_weight, bigru_a.label_weight) == (0.8, 0.2)
    assert small.encoder == "random"  # no download


def test_a_run_is_named_after_its_file_unless_it_names_itself(tmp_path: Path):
    assert load_config("linear").name == "linear"
    assert load_config(written(tmp_path, "kind: linear")).name == "mine"
    assert load_config(written(tmp_path, "kind: linear\nname: 基线")).name == "基线"


@pytest.mark.parametrize("model", MODELS)
def test_every_parameter_is_documented_where_it_is_defined(model: type[BaseModel]):
    for name, field in model.model_fields.items():
        is_section = isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        assert field.description or is_section or name == "kind", name


@pytest.mark.parametrize(
    ("override", "field", "value"),
    [
        ("train.lr=3e-5", ("train", "lr"), 3e-5),
        ("train.lr=0.001", ("train", "lr"), 0.001),
        ("train.epochs=7", ("train", "epochs"), 7),
        ("train.head_lr=null", ("train", "head_lr"), None),
        ("input.context=none", ("input", "context"), "none"),
        ("input.clean=[whitespace]", ("input", "clean"), ("whitespace",)),
        ("encoder=../models/e5=small", ("encoder",), "../models/e5=small"),
        ("name=1e5", ("name",), "1e5"),  # a word in YAML
        ("thresholds.fallback=其他", ("thresholds", "fallback"), "其他"),
        (" loss.pos_weight = true", ("loss", "pos_weight"), True),
    ],
)
def test_set_overrides_one_value(override: str, field: tuple[str, ...], value: object):
    found: object = load_config("teacher-small", [override])
    for part in field:
        found = getattr(found, part)
    assert found == value


def test_the_last_of_two_overrides_counts_and_the_rest_of_the_section_stays(tmp_path: Path):
    path = written(tmp_path, "kind: encoder\ntrain: {epochs: 9, batch_size: 5}")
    config = load_config(path, ["train.epochs=1", "train.epochs=2"])
    assert isinstance(config, TeacherConfig)
    assert (config.train.epochs, config.train.batch_size) == (2, 5)


@settings(deadline=None, max_examples=50)
@given(st.floats(1e-12, 1e3))
def test_any_number_can_be_set_as_python_writes_it(number: float):
    config = load_config("teacher-small", [f"train.lr={number!r}"])
    assert isinstance(config, TeacherConfig)
    assert config.train.lr == number


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("train.lr", "not of the form a.b=value"),
        ("=3", "not of the form a.b=value"),
        ("train.lr=[1", "the value is not YAML"),
        ("train.lr=2024-13-45", "the value is not YAML"),
        ("encoder.name=x", "'encoder' is a value, not a section"),
    ],
)
def test_a_malformed_override_is_refused(override: str, said: str):
    with pytest.raises(ConfigError, match=said) as caught:
        load_config("teacher-small", ["encoder=random", override])
    assert repr(override) in str(caught.value)
    assert caught.value.hint


def test_every_wrong_field_is_named_at_once_as_the_user_writes_it(tmp_path: Path):
    path = written(tmp_path, "kind: encoder\ntrain: {lr: -1, epoch: 3, batch_size: x}\npoolin: cls\nshape: {hidden: 10}")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(path) in caught.value.message
    fields = {problem.split(":")[0] for problem in caught.value.problems}
    assert fields == {"train.lr", "train.epoch", "train.batch_size", "poolin", "shape"}
    assert "hidden 10 is not a multiple of heads 4" in str(caught.value)


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({}, "kind"),
        ({"kind": "svm"}, "kind"),
        ({"kind": "linear", "thresholds": {"min_k": 3, "max_k": 2}}, "thresholds"),
        ({"kind": "linear", "thresholds": {"max_k": 0}}, "thresholds.max_k"),
        ({"kind": "linear", "input": {"max_length": 7}}, "input.max_length"),
        ({"kind": "linear", "ngrams": [1]}, "ngrams.1"),
        ({"kind": "linear", "ngrams": [3, 1]}, "ngrams"),
        ({"kind": "linear", "ngrams": [0, 2]}, "ngrams"),
        ({"kind": "linear", "c": 0}, "c"),
        ({"kind": "encoder", "train": {"lr": float("nan")}}, "train.lr"),
        ({"kind": "encoder", "train": {"lr": float("inf")}}, "train.lr"),
        ({"kind": "encoder", "dropout": 1}, "dropout"),
        ({"kind": "encoder", "loss": {"independent": "mse"}}, "loss.independent"),
        ({"kind": "bigru", "model": "C"}, "model"),
        ({"kind": "bigru", "encoder": "random"}, "encoder"),
    ],
)
def test_a_setting_that_cannot_be_carried_out_is_refused(data: dict[str, object], field: str):
    with pytest.raises(ConfigError) as caught:
        parse_config(data)
    assert [problem.split(":")[0] for problem in caught.value.problems] == [field]


def test_an_unknown_configuration_lists_the_known_ones(tmp_path: Path):
    with pytest.raises(ConfigError, match="there is no configuration 'liner'") as caught:
        load_config("liner")
    assert "linear" in caught.value.hint
    with pytest.raises(ConfigError, match="there is no configuration"):
        load_config(tmp_path)  # a folder


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"kind: [", "not readable as YAML"),
        (b"name: 2024-13-45", "not readable as YAML"),
        ("name: 基线".encode("gb18030"), "not readable as YAML"),
        (b"linear", "holds no mapping"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused_by_name(tmp_path: Path, data: bytes, said: str):
    path = tmp_path / "c.yaml"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=said) as caught:
        load_config(path)
    assert str(path) in str(caught.value)
    assert caught.value.hint


def test_a_configuration_cannot_be_changed_by_accident():
    config = load_config("linear")
    with pytest.raises(ValidationError, match="frozen"):
        config.name = "other"


def test_a_student_keeps_its_defaults_where_a_file_gives_only_some_settings() -> None:
    whole, part = parse_config({"kind": "bigru"}), parse_config({"kind": "bigru", "train": {"epochs": 5}})
    assert part.train == whole.train.model_copy(update={"epochs": 5})
    assert part.train.lr != parse_config({"kind": "encoder"}).train.lr


@pytest.mark.parametrize("name", sorted(shipped_configs()))
def test_every_shipped_configuration_loads(name: str):
    config = load_config(name)
    assert config.name == name
    assert parse_config(config.model_dump(mode="json")) == config
    if isinstance(config, RunSettings):
        assert load_config(name, ["thresholds.max_k=2"]).thresholds.max_k == 2


@pytest.mark.parametrize("value", ["no", "bf16"])
def test_a_precision_of_no_is_no_false(value: str) -> None:
    assert load_config("teacher-small", [f"train.precision={value}"]).train.precision == value


def test_what_our_own_validators_say_is_told_as_it_is():
    with pytest.raises(ConfigError) as caught:
        load_config("linear", ["shared=foo"])
    assert list(caught.value.problems) == ["shared: 'foo' is neither auto nor a whole number of 0 or more"]
