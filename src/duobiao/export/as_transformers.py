"""A teacher as a plain transformers folder, which ``AutoModelForSequenceClassification`` loads without duobiao."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer, PreTrainedConfig, PreTrainedModel

from duobiao import __version__, progress
from duobiao.bundle import MANIFEST, Bundle, in_place_of, read_bundle
from duobiao.card.folder import render_folder_card
from duobiao.card.render import CARD
from duobiao.classifier import Classifier
from duobiao.data.rows import Row
from duobiao.errors import BundleError, ConfigError
from duobiao.export.agree import Agreement, answers, check_agreement, inputs_of
from duobiao.export.heads import head_settings, head_weights
from duobiao.features.apply import Features
from duobiao.models.encoder import EncoderClassifier
from duobiao.models.pretrained import quiet
from duobiao.models.row_encoder import make_encoder
from duobiao.models.tokenizer_files import save_tokenizer
from duobiao.models.torch_backend import TorchBackend

KINDS = ("encoder", "tinybert")
MARK = "duobiao"
"""The key of ``config.json`` that holds what transformers has no place for."""
_ROWS = 16


def export_transformers(
    path: str | Path, out: str | Path, rows: Sequence[Row] | None = None, *, force: bool = False
) -> Agreement:
    """Writes an encoder's bundle as transformers itself loads it, if its logits are those of the bundle.

    Args:
        path: The bundle of a teacher or of a TinyBERT student.
        out: The folder.
        rows: Rows on which both are compared; built-in texts by default.
        force: Whether a folder of another bundle at ``out`` is replaced.

    Returns:
        How far both agree, at the default operating point.

    Raises:
        ConfigError: If transformers has no head that computes the same, with all reasons.
        BundleError: If the two do not agree, or the place is taken.
    """
    bundle, out = read_bundle(path), Path(out)
    _check_bundle(bundle)
    _check_place(out, bundle.digest, force)
    system = Classifier(bundle, TorchBackend.from_bundle(bundle))
    with in_place_of(out) as beside:
        _write(system, beside)
        progress.say(f"{bundle.name}: comparing with the bundle that it came from")
        inputs = inputs_of(system, rows)
        agreement = check_agreement(system, answers(system, inputs), answers(_loaded(system, beside), inputs))
        (beside / CARD).write_text(render_folder_card(bundle, agreement.to_dict()), encoding="utf-8")
    return agreement


def _check_bundle(bundle: Bundle) -> None:
    """Refuses what transformers' heads cannot compute, with all reasons."""
    features, problems = Features.from_bundle(bundle), []
    if bundle.kind not in KINDS or bundle.is_exported:
        what = "an exported bundle" if bundle.is_exported else f"a {bundle.kind} bundle"
        raise ConfigError(
            f"{bundle.name}: {what} has no form in transformers",
            hint=f"give a bundle of kind {' or '.join(KINDS)}, as duobiao train and distil write it; duobiao export without "
            "--format writes one that needs no torch",
        )
    if bundle.model["pooling"] != "cls":
        teacher = "the teacher" if bundle.kind == "encoder" else "its teacher, which it has this from,"
        problems.append(
            f"pooling is {bundle.model['pooling']}, but the heads of transformers read the first token's state alone; train "
            f"{teacher} anew with pooling=cls, as in duobiao train --config teacher-mini --set pooling=cls"
        )
    if features.pairwise or features.settings.segment == "mined":
        problems.append(f"features.segment is {features.settings.segment}: only duobiao puts these words before the text")
    if features.width:
        problems.append("numbers beside the text join the row vector, for which the heads have no place")
    if problems:
        raise ConfigError(
            f"{bundle.name}: AutoModelForSequenceClassification cannot give the same answers",
            hint="use the bundle with duobiao.load, or duobiao export without --format",
            problems=problems,
        )


def _check_place(out: Path, digest: str, force: bool) -> None:
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        held = _read_mark(out)
        if held is None or (out / MANIFEST).exists():
            raise BundleError(f"{out}: stands there already and is no export", hint="choose another --out, or move it away")
        if held.get("digest") != digest and not force:
            raise BundleError(f"{out}: another bundle's export stands there", hint="choose another --out, or give --force")


def _read_mark(folder: Path) -> dict[str, Any] | None:
    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8")).get(MARK)
    except (OSError, ValueError, AttributeError):
        return None
    return found if isinstance(found, dict) else None


def _write(system: Classifier, folder: Path) -> None:
    """Weights, configuration and tokenizer."""
    bundle, backend = system.bundle, system.backend
    assert isinstance(backend, TorchBackend)
    classifier = backend.model
    assert isinstance(classifier, EncoderClassifier)
    config = folder_config(bundle)
    model: PreTrainedModel = AutoModelForSequenceClassification.from_config(config)
    weight, bias = classifier.output.weight.detach().cpu(), classifier.output.bias.detach().cpu()
    scale = torch.from_numpy(_divisors(bundle))
    head = head_weights(config.model_type, weight / scale[:, None], bias / scale)
    own = {name: tensor.cpu() for name, tensor in classifier.encoder.state_dict().items()}
    wanted = {**{f"{model.base_model_prefix}.{name}": tensor for name, tensor in own.items()}, **head}
    missing, foreign = model.load_state_dict(wanted, strict=False)
    if missing or foreign:
        raise ConfigError(
            f"{bundle.name}: transformers' {type(model).__name__} has other parts than the encoder",
            hint="duobiao export without --format writes ONNX for any encoder",
            problems=[f"not filled: {name}" for name in missing] + [f"no place for: {name}" for name in foreign],
        )
    with quiet():
        model.save_pretrained(folder)
    segments = int(getattr(config, "type_vocab_size", 0) or 0) > 1
    save_tokenizer(backend.encoder.tokenizer, backend.encoder.pad_id, system.input.max_length, folder, segments=segments)


def folder_config(bundle: Bundle) -> PreTrainedConfig:
    """The encoder's configuration with labels and problem type, and what transformers has no place for under ``duobiao``."""
    form = dict(bundle.model["encoder"])
    kind = form.pop("model_type")
    names, space = bundle.space.names, bundle.space
    single = not space.independent and len(space.groups) == 1 and not space.groups[0].at_most_one
    own = {
        "digest": bundle.digest,
        "version": __version__,
        "thresholds": bundle.thresholds.get("values", {}),
        "label_space": space.to_dict(),
        "input": dict(bundle.input),
    }
    settings = {**form, **head_settings(kind), "id2label": dict(enumerate(names)), "label2id": dict(bundle.space.index)}
    settings["problem_type"] = "single_label_classification" if single else "multi_label_classification"
    config: PreTrainedConfig = AutoConfig.for_model(kind, **settings, **{MARK: own})
    if hasattr(config, "pooler_hidden_size"):
        config.pooler_hidden_size = config.hidden_size
    return config


def _divisors(bundle: Bundle) -> npt.NDArray[np.float32]:
    """What each logit is divided by: the temperatures of the calibration, which the output layer takes in, ``(labels,)``."""
    temperatures = bundle.thresholds.get("calibration", {}).get("temperature", {})
    found = np.ones(len(bundle.space), dtype=np.float32)
    for name, columns in zip((group.name for group in bundle.space.groups), bundle.space.slices, strict=True):
        found[columns] = temperatures.get(name, 1.0)
    for name in bundle.space.independent:
        found[bundle.space.index[name]] = temperatures.get(name, 1.0)
    return found


def _loaded(system: Classifier, folder: Path) -> Classifier:
    """The written folder behind the rest of the bundle: loaded as anybody would, with what its weights hold left out."""
    bundle = system.bundle
    thresholds = dict(bundle.thresholds)
    if "calibration" in thresholds:
        thresholds["calibration"] = {**thresholds["calibration"], "temperature": {}}
    return Classifier(replace(bundle, thresholds=thresholds), _Folder(bundle, folder))


class _Folder:
    """What transformers makes of the folder."""

    def __init__(self, bundle: Bundle, folder: Path) -> None:
        with quiet():
            self.model = AutoModelForSequenceClassification.from_pretrained(folder, local_files_only=True).eval()
            self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.encoder = make_encoder(bundle)
        self.parameters = sum(parameter.numel() for parameter in self.model.parameters())

    @torch.no_grad()
    def logits(
        self, pairs: Sequence[tuple[str, str | None]], label: str = "", features: npt.NDArray[np.float32] | None = None
    ) -> npt.NDArray[np.float32]:
        """Logits ``(rows, labels)`` of cleaned texts, tokenized by the folder's own tokenizer."""
        inputs, _ = self.encoder.inputs(pairs)
        found = [self._batch(inputs[start : start + _ROWS]) for start in range(0, len(inputs), _ROWS)]
        return np.concatenate(found) if found else np.zeros((0, self.model.config.num_labels), dtype=np.float32)

    def _batch(self, inputs: Sequence[tuple[str, str | None]]) -> npt.NDArray[np.float32]:
        """One batch holds texts alone or pairs alone, as tokenizers want it."""
        found = np.zeros((len(inputs), self.model.config.num_labels), dtype=np.float32)
        for paired in (False, True):
            places = [place for place, (_, first) in enumerate(inputs) if (first is not None) == paired]
            if places:
                texts = [inputs[place][0] for place in places]
                given = ([inputs[place][1] for place in places], texts) if paired else (texts,)
                batch = self.tokenizer(*given, truncation=True, padding=True, return_tensors="pt")
                found[places] = self.model(**batch).logits.float().numpy()
        return found
