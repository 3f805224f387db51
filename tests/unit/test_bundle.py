import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from duobiao.bundle import MANIFEST, SCHEMA_VERSION, WEIGHTS, Bundle, check_place, read_bundle, read_manifest, write_bundle
from duobiao.errors import BundleError
from duobiao.labels import Group, LabelSpace


def make(**changes: Any) -> Bundle:
    bundle = Bundle(
        kind="linear",
        name="基线",
        space=LabelSpace(("物流", "质量"), (Group("情感", ("正面", "负面"), contexts=("回访",)),)),
        input={"context": "pair", "max_length": 64, "clean": ["invisible"]},
        model={"ngrams": [1, 3]},
        thresholds={"values": {"物流": 0.25, "质量": 0.5}, "settings": {"shrink": 10.0}},
        metrics={"dev": {"micro_f1": 0.5}},
        config={"kind": "linear"},
        files={"vocabulary.json": '["快", "递"]\n', "tokenizer.json": "{}"},
        weights={"coefficients": np.arange(6, dtype=np.float32).reshape(2, 3), "idf": np.array([1.5, 2.5])},
        run="abc",
    )
    return dataclasses.replace(bundle, **changes)


def assert_same(found: Bundle, wanted: Bundle) -> None:
    for field in dataclasses.fields(Bundle):
        if field.name not in ("weights", "digest"):
            assert getattr(found, field.name) == getattr(wanted, field.name), field.name
    assert found.weights.keys() == wanted.weights.keys()
    for name, array in wanted.weights.items():
        assert found.weights[name].dtype == array.dtype
        assert found.weights[name].shape == array.shape
        np.testing.assert_array_equal(found.weights[name], array)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    path = tmp_path / "runs" / "linear"
    write_bundle(path, make())
    return path


def names_beside(path: Path) -> list[str]:
    return sorted(child.name for child in path.parent.iterdir())


def edit(place: Path, **changes: Any) -> None:
    manifest = json.loads((place / MANIFEST).read_text(encoding="utf-8"))
    (place / MANIFEST).write_text(json.dumps({**manifest, **changes}), encoding="utf-8")


def test_a_bundle_comes_back_as_it_was_written(place: Path):
    found = read_bundle(place)
    assert_same(found, make())
    assert found.digest == read_manifest(place)["digest"] == write_bundle(place, make())
    assert names_beside(place) == ["linear"]
    assert sorted(child.name for child in place.iterdir()) == [
        "README.md",
        MANIFEST,
        WEIGHTS,
        "tokenizer.json",
        "vocabulary.json",
    ]


ARRAYS = hnp.arrays(
    st.sampled_from([np.float32, np.float64, np.int64, np.uint8]), hnp.array_shapes(min_dims=0, max_dims=3, max_side=4)
)


@settings(deadline=None, max_examples=40)
@given(st.dictionaries(st.sampled_from(["w", "b", "层.0.weight"]), ARRAYS), st.text(max_size=20), st.booleans())
def test_arrays_and_texts_survive(tmp_path_factory: pytest.TempPathFactory, weights: Any, text: str, turned: bool):
    if turned:
        weights = {name: array.T for name, array in weights.items()}  # not contiguous
    text = text.replace("\r", "")  # files are texts: line ends are the platform's
    wanted = make(weights=weights, files={"a.txt": text})
    path = tmp_path_factory.mktemp("b") / "b"
    write_bundle(path, wanted)
    assert_same(read_bundle(path), wanted)


def test_the_digest_names_what_decides_the_answers(tmp_path: Path):
    same = [make(), make(name="other", metrics={}, run="z")]
    different = [
        make(thresholds={"values": {}, "settings": {}}),
        make(weights={"idf": np.array([1.5, 2.5])}),
        make(files={}),
        make(space=LabelSpace(("物流", "质量"))),
        make(input={}),
        make(kind="bigru"),
        make(model={}),
    ]
    digests = [write_bundle(tmp_path / str(n), bundle) for n, bundle in enumerate([*same, *different])]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 1 + len(different)


@pytest.mark.parametrize("name", [WEIGHTS, "vocabulary.json"])
def test_one_flipped_bit_is_refused_with_the_files_name(place: Path, name: str):
    data = bytearray((place / name).read_bytes())
    data[-1] ^= 1
    (place / name).write_bytes(data)
    with pytest.raises(BundleError, match="damaged bundle") as caught:
        read_bundle(place)
    assert caught.value.problems == (f"{name}: missing or changed since it was written",)
    assert caught.value.hint


def test_all_damaged_files_are_named_at_once(place: Path):
    (place / WEIGHTS).write_bytes((place / WEIGHTS).read_bytes()[:-4])
    (place / "tokenizer.json").unlink()
    edit(place, thresholds={"values": {"物流": 0.0, "质量": 0.0}, "settings": {}})
    with pytest.raises(BundleError) as caught:
        read_bundle(place)
    assert {problem.split(":")[0] for problem in caught.value.problems} == {WEIGHTS, "tokenizer.json", MANIFEST}


@pytest.mark.parametrize("key", ["kind", "label_space", "input", "model", "thresholds"])
def test_a_manifest_changed_by_hand_is_refused(place: Path, key: str):
    edit(place, **{key: {"labels": ["别的"]}})
    with pytest.raises(BundleError, match=rf"{MANIFEST}: missing or changed"):
        read_bundle(place)


def test_a_newer_version_is_refused_with_the_cure(place: Path):
    edit(place, schema_version=SCHEMA_VERSION + 1)
    with pytest.raises(BundleError, match=rf"newer duobiao \(schema {SCHEMA_VERSION + 1}, .* up to {SCHEMA_VERSION}") as caught:
        read_bundle(place)
    assert "upgrade" in caught.value.hint


def test_what_is_no_bundle_is_refused_with_the_reason(tmp_path: Path):
    foreign, empty, file = tmp_path / "foreign", tmp_path / "empty", tmp_path / "file"
    foreign.mkdir()
    empty.mkdir()
    (foreign / "pytorch_model.bin").write_bytes(b"x")
    file.write_bytes(b"x")
    cases = {
        foreign: r"there is no bundle\.json \(the folder holds pytorch_model\.bin\)",
        empty: "the folder holds nothing",
        file: "there is no such folder",
        tmp_path / "none": "there is no such folder",
    }
    for path, said in cases.items():
        with pytest.raises(BundleError, match=said) as caught:
            read_bundle(path)
        assert str(path) in str(caught.value)
        assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is unreadable"),
        ("[]", "is not duobiao's"),
        ('{"format": "other", "schema_version": 1}', "is not duobiao's"),
        ('{"format": "duobiao-bundle"}', "schema None"),
        ('{"format": "duobiao-bundle", "schema_version": 1, "kind": "linear"}', "lacks .*thresholds"),
    ],
)
def test_a_manifest_that_is_none_is_refused(place: Path, text: str, said: str):
    (place / MANIFEST).write_text(text, encoding="utf-8")
    with pytest.raises(BundleError, match=said):
        read_bundle(place)


def test_a_bundle_that_stands_there_is_replaced_whole(place: Path):
    new = make(name="neu", files={"other.json": "[]"})
    write_bundle(place, new)
    assert_same(read_bundle(place), new)
    assert not (place / "vocabulary.json").exists()
    assert names_beside(place) == ["linear"]


def interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("step", ["duobiao.bundle.save_file", "duobiao.bundle._sha256", "duobiao.bundle._exchange"])
def test_an_interrupted_write_leaves_the_old_bundle(place: Path, monkeypatch: pytest.MonkeyPatch, step: str):
    with monkeypatch.context() as patch:
        patch.setattr(step, interrupt)
        with pytest.raises(KeyboardInterrupt):
            write_bundle(place, make(name="neu"))
    assert_same(read_bundle(place), make())
    assert names_beside(place) == ["linear"]


def test_a_write_that_fails_between_the_two_renames_puts_the_old_bundle_back(place: Path, monkeypatch: pytest.MonkeyPatch):
    rename = Path.rename

    def refuse_the_new(self: Path, target: Path) -> Path:
        if Path(target) == place and not self.name == place.name:
            raise OSError(28, "No space left on device")
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refuse_the_new)
        with pytest.raises(BundleError, match=r"cannot be written.*No space left"):
            write_bundle(place, make(name="neu"))
    assert_same(read_bundle(place), make())
    assert names_beside(place) == ["linear"]


@pytest.mark.parametrize("held", ["thesis.docx", MANIFEST])
def test_a_folder_that_is_no_bundle_is_not_overwritten(tmp_path: Path, held: str):
    path = tmp_path / "mine"
    path.mkdir()
    (path / held).write_text('{"name": "a game"}', encoding="utf-8")
    (path / "notes.txt").write_text("precious", encoding="utf-8")
    for attempt in (lambda: check_place(path), lambda: write_bundle(path, make())):
        with pytest.raises(BundleError, match="stands there already and is no bundle") as caught:
            attempt()
        assert "--out" in caught.value.hint
    assert (path / "notes.txt").read_text(encoding="utf-8") == "precious"
    assert names_beside(path) == ["mine"]


def test_a_file_in_place_of_the_folder_or_above_it_is_not_overwritten(tmp_path: Path):
    file = tmp_path / "file"
    file.write_text("precious", encoding="utf-8")
    with pytest.raises(BundleError, match="stands there already"):
        write_bundle(file, make())
    with pytest.raises(BundleError, match="cannot be written"):
        write_bundle(file / "below", make())
    assert file.read_text(encoding="utf-8") == "precious"


def test_an_empty_folder_is_a_good_place(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    write_bundle(tmp_path / "empty", make())
    assert_same(read_bundle(tmp_path / "empty"), make())
