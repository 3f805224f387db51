from pathlib import Path

import pytest
import yaml

from duobiao.config import load_config
from duobiao.errors import ConfigError, LabelSpaceError
from duobiao.labels import LabelSpace
from duobiao.strict_yaml import load_yaml


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
