"""Who may import whom (architecture.md), read from the sources; and what is loaded, seen in a fresh process."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import duobiao
from duobiao.bundle import Bundle, write_bundle
from duobiao.config import LinearConfig, ThresholdSettings
from duobiao.labels import LabelSpace
from duobiao.models.linear import fit_linear
from duobiao.postprocess.thresholds import thresholds_to_dict

ROOT = Path(duobiao.__file__).parent
LAYERS = [
    {"errors"},
    {"machine", "outputs", "page", "strict_yaml", "svg"},
    {"config", "labels", "progress", "builtin"},
    {"label_difference", "bundle", "card", "hub", "data", "features", "postprocess", "evaluate.metrics", "models"},
    {"classifier", "routing"},
    {"cascade", "explain"},
    {"answer"},
    {"halving"},
    {"predict", "doctor", "train", "evaluate", "score", "serve", "export", "estimator"},
    {"demo"},
    {"cli"},
    {"__main__"},
]
SIDEWAYS = {
    "bundle",
    "card",
    "hub",
    "models",
    "features",
    "predict",
    "train",
    "score",
    "serve",
    "export",
    "estimator",
}  # parts that may use their neighbours
LIGHT = {
    "",
    "errors",
    "machine",
    "outputs",
    "strict_yaml",
    "labels",
    "label_difference",
    "config",
    "progress",
    "data",
    "features",
    "postprocess",
    "evaluate.metrics",
    "bundle",
    "card",
    "hub",
    "classifier",
    "cascade",
    "answer",
    "halving",
    "routing",
}
HEAVY = {"torch", "transformers", "accelerate"}


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {module_of(path): path.read_text(encoding="utf-8") for path in sorted(ROOT.rglob("*.py"))}


def part_of(module: str) -> str:
    """The entry of LAYERS that a module belongs to."""
    known = {part for layer in LAYERS for part in layer}
    names = module.split(".")
    return next((part for part in (".".join(names[:2]), names[0]) if part in known), module)


def rank(part: str) -> int:
    found = [number for number, layer in enumerate(LAYERS) if part in layer]
    assert found, f"{part}: give the module a place in LAYERS"
    return found[0]


def imports(source: str, *, top_level: bool) -> Iterator[str]:
    """Full names of imported modules, without those that only type checkers see."""
    waiting: list[ast.AST] = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif not (top_level and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))):
            waiting += ast.iter_child_nodes(node)


def own_imports(source: str) -> set[str]:
    names = (name.removeprefix("duobiao.") for name in imports(source, top_level=False) if name.startswith("duobiao."))
    return {name for name in names if any(name == m or name.startswith(f"{m}.") for m in SOURCES if m)}


def wrong_directions(module: str, source: str) -> list[str]:
    part = part_of(module)
    found = []
    for target in sorted(own_imports(source)):
        other = part_of(target)
        sideways = rank(other) == rank(part) and other != part and part not in SIDEWAYS
        if rank(other) > rank(part) or sideways or (part, other) == ("evaluate", "train"):
            found.append(f"{module} imports {target}")
    return found


@pytest.mark.parametrize("module", [module for module in SOURCES if module])
def test_no_layer_imports_a_higher_one(module: str):
    assert wrong_directions(module, SOURCES[module]) == []


@pytest.mark.parametrize("module", [module for module in SOURCES if not module or part_of(module) in LIGHT])
def test_light_layers_import_no_torch_and_no_transformers(module: str):
    assert {name.split(".")[0] for name in imports(SOURCES[module], top_level=True)} & HEAVY == set()


def test_the_rules_above_can_be_broken():
    assert wrong_directions("labels", "def f():\n    from duobiao.train import recipe") == ["labels imports train.recipe"]
    assert wrong_directions("data.rows", "from duobiao.postprocess.decode import Decoder")
    assert wrong_directions("evaluate.metrics", "from duobiao.evaluate.report import render_html")
    assert wrong_directions("evaluate.compare", "import duobiao.train.recipe")
    assert wrong_directions("train.recipe", "from duobiao.evaluate.metrics import score") == []
    assert wrong_directions("data.load", "from duobiao import progress\nfrom duobiao.data.read import read_rows") == []
    assert "torch.nn" in set(imports("if True:\n    import torch.nn", top_level=True))
    assert set(imports("def f():\n    import torch", top_level=True)) == set()
    assert set(imports("if TYPE_CHECKING:\n    import torch", top_level=True)) == set()
    assert "labels" in SOURCES
    assert "torch.Tensor" in set(imports(SOURCES["train.losses"], top_level=True))


def loaded_after(code: str) -> set[str]:
    """The top-level packages that a fresh process has loaded after running ``code``."""
    code += "\nimport json, sys\nprint(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_import_duobiao_loads_next_to_nothing():
    loaded = loaded_after("import duobiao; duobiao.__version__")
    assert "duobiao" in loaded
    assert loaded & {*HEAVY, "numpy", "sklearn", "tokenizers"} == set()


def test_predicting_with_a_linear_bundle_loads_no_torch(tmp_path: Path):
    space = LabelSpace(("物流", "质量"))
    pairs = [("快递没到", None), ("东西坏了", None)] * 3
    cells = np.array([[1, 0], [0, 1]] * 3, dtype=np.int8)
    config = LinearConfig(kind="linear")
    model, files, weights = fit_linear(config, space, (pairs, cells), (pairs, cells)).stored()
    thresholds = thresholds_to_dict(np.array([0.5, 0.5], np.float32), ThresholdSettings(), space)
    settings = config.input.model_dump(mode="json")
    write_bundle(tmp_path / "b", Bundle("linear", "l", space, settings, model, thresholds, {}, {}, files, weights))
    code = f"import duobiao\nassert duobiao.load({str(tmp_path / 'b')!r}).predict(['快递没到'])[0].labels == ['物流']"
    loaded = loaded_after(code)
    assert "sklearn" in loaded
    assert loaded & HEAVY == set()


def test_a_name_that_duobiao_lacks_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = duobiao.nonsense  # type: ignore[attr-defined]
    assert duobiao.LabelSpace is LabelSpace
