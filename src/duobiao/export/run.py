"""``duobiao export`` from bundle to bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duobiao import __version__, progress
from duobiao.bundle import Bundle, check_place, read_bundle, read_manifest, write_bundle
from duobiao.classifier import Classifier, make_backend
from duobiao.data.rows import Row
from duobiao.errors import BundleError, ConfigError, MissingExtraError
from duobiao.export.agree import MOST_ROWS, Agreement, answers, check_agreement, inputs_of

if TYPE_CHECKING:
    from duobiao.export.gate import Gate, Report

LINEAR = ("linear", "linear-student")


@dataclass(frozen=True)
class Result:
    """What was written.

    Attributes:
        digest: Of the exported bundle.
        agreement: Float32 against PyTorch.
        report: The recipes of int8 that were tried; None without int8.
    """

    digest: str
    agreement: Agreement
    report: Report | None = None


def export(
    path: str | Path,
    out: str | Path,
    rows: Sequence[Row] | None = None,
    *,
    gate: Gate | None = None,
    force: bool = False,
) -> Result:
    """Writes a bundle that answers without torch, if it decides as the bundle at ``path`` does.

    Args:
        path: The bundle.
        out: Where the exported one goes.
        rows: Rows on which both are compared; built-in texts by default. For int8 they are labelled dev rows.
        gate: Asks for int8, and says what it may lose.
        force: Whether an export of another bundle at ``out`` is replaced.

    Raises:
        BundleError: If the export does not agree with PyTorch, or the place is taken.
        ConfigError: If the bundle cannot be exported, or no recipe of int8 stays within the budget.
        MissingExtraError: If ``onnx`` or torch is not installed.
    """
    out = Path(out)
    check_place(out)
    bundle = read_bundle(path)
    if out.exists() and out.samefile(path):
        raise BundleError(f"{out}: is the bundle itself, which an export cannot take the place of", hint="choose another --out")
    if gate is not None and bundle.model.get("dial", {}).get("speed", 0) > 0:
        raise ConfigError(
            f"{bundle.name}: int8 and early exits do not go together, for exits are calibrated on float32 answers",
            hint="export without --int8, or turn the dial back first: duobiao dial BUNDLE --data DEV --speed 0",
        )
    if (
        out.is_dir()
        and any(out.iterdir())
        and not force
        and read_manifest(out)["metrics"].get("exported_from") != bundle.digest
    ):
        raise BundleError(f"{out}: another bundle stands there", hint="choose another --out, or give --force")
    system = Classifier(bundle, make_backend(bundle))
    made = linear(bundle, gate) if bundle.kind in LINEAR else _converted(bundle)
    exported = Classifier(made, make_backend(made))
    progress.say(f"{bundle.name}: comparing with the bundle that it came from")
    inputs = inputs_of(system, rows, MOST_ROWS if gate is None else None)
    own, theirs = answers(system, inputs), answers(exported, inputs)
    agreement = check_agreement(system, own, theirs)
    how = {"agreement": agreement.to_dict(), "exported_from": bundle.digest, "exported_by": __version__}
    made = replace(made, metrics={**bundle.metrics, **how})
    report = None
    if gate is not None:
        from duobiao.export.gate import pass_gate

        made, report = pass_gate(Classifier(made, exported.backend), rows or (), gate, own[system.point], theirs[system.point])
    return Result(write_bundle(out, made), agreement, report)


def _converted(bundle: Bundle) -> Bundle:
    try:
        from duobiao.export.convert import assemble, convert
    except ImportError as error:
        raise MissingExtraError(str(error.name), "export") from error
    return assemble(bundle, *convert(bundle))


def linear(bundle: Bundle, gate: Gate | None = None) -> Bundle:
    """A linear bundle as arrays for the engine; they are what it consists of anyway.

    Raises:
        ConfigError: If int8 is asked for, or it is exported already.
    """
    if bundle.is_exported:
        raise ConfigError(f"{bundle.name}: exported already", hint="give a bundle that duobiao train or distil wrote")
    if gate is not None:
        raise ConfigError(f"{bundle.name}: a linear bundle has nothing to gain from int8", hint="leave --int8 out")
    engine: Mapping[str, Any] = {"precision": str(bundle.weights["coefficients"].dtype)}
    return replace(bundle, model={**bundle.model, "engine": dict(engine)})
