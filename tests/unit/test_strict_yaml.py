from pathlib import Path

import pytest
import yaml

from duobiao.config import load_config
from duobiao.errors import ConfigError, LabelSpaceError
from duobiao.evaluate.point_options import parse_points, read_costs, read_rules
from duobiao.labels import LabelSpace
from duobiao.routing.routes import Routes
from duobiao.strict_yaml import load_yaml, read_yaml


def test_it_reads_what_safe_yaml_reads() -> None:
    text = "a: 1\nb: {a: [2, x], c: {a: 3}}\nd:\n  - {a: 4}\n  - {a: 5}\n"
    assert load_yaml(text) == yaml.safe_load(text)
    with pytest.raises(yaml.YAMLError):
        load_yaml("!!python/object/apply:os.getcwd []")


def test_a_group_that_stands_twice_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "labels.yaml"
    path.write_text("groups:\n  情感: {labels: [好, 坏]}\n  情感: {labels: [喜, 怒]}\n", encoding="utf-8")
    with pytest.raises(LabelSpaceError, match=r"line 3.*情感.*twice"):
        LabelSpace.from_yaml(path)


def test_a_setting_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("kind: linear\nc: 1\nc: 2\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"line 3.*'c'.*twice"):
        load_config(path)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (b"a: 1\nb: c: d\n", 2, "mapping values are not allowed here, in 'b: c: d'"),
        (b"a: [1, 2\n\nb: 3\n", 3, "in 'b: 3'"),
        (b"a:\n  - x\n  - [y\n", 3, "in '- [y'"),
        (b"a: 1\nb:\n\t- x\n", 3, "cannot start any token"),
        (b"a: 1\nb: *none\n", 2, "undefined alias 'none'"),
        (b"a: 1\nb: !!python/object:os.system x\n", 2, "could not determine a constructor"),
        (b"a: 1\nb: 2024-13-45\n", 2, "month must be in 1..12, in 'b: 2024-13-45'"),
        (b"a: 1\n? [x]\n: 2\n", 2, "unhashable"),
        (b"a: 1\nb: x\x00y\n", 2, "the character U+0000 is not allowed"),
        (b"a: 1\nb: \xb2\xe2\n", 2, "this is not UTF-8"),
        (b'a: 1\nb: "' + b"x" * 200 + b'": 2: 3\n', 2, "…'"),
        (b"--- 1\n--- 2\n", 2, "in '--- 2'"),
    ],
)
def test_broken_yaml_is_told_in_one_line_with_its_number(tmp_path: Path, text: bytes, line: int, said: str) -> None:
    path = tmp_path / "rules.yaml"
    path.write_bytes(text)
    with pytest.raises(ConfigError) as error:
        read_yaml(path, "a YAML file of rules", ConfigError)
    assert "\n" not in error.value.message
    assert error.value.message.startswith(f"{path}: line {line}: not readable as YAML: ")
    assert said in error.value.message
    assert len(error.value.message) < len(str(path)) + 180
    assert error.value.hint


def test_every_command_that_takes_a_yaml_file_tells_its_line(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("default: macro-f1\nstrict: precision: 0.9\n", encoding="utf-8")
    for read in (Routes.from_yaml, read_rules, lambda file: parse_points([], file), read_costs):
        with pytest.raises(ConfigError) as error:
            read(path)
        assert error.value.message.startswith(f"{path}: line 2: not readable as YAML: mapping values are not allowed here")
        assert "\n" not in error.value.message
