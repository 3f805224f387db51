"""duobiao itself, through the same pipe. Trained here with config=NAME (and teacher=BUNDLE), or given as bundle=FOLDER.

Further options are settings of the configuration (set:train.epochs=6). transfer=FILE gives a student rows without labels, which
is told, and leaves it out of the verdict. The time of a bundle is what it says itself; seconds=none leaves it out (one trained
elsewhere).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from pipe import main

from duobiao.bundle import read_bundle
from duobiao.classifier import Classifier
from duobiao.config import load_config
from duobiao.data.read import read_rows
from duobiao.labels import LabelSpace
from duobiao.train import recipe


def fit(train, dev, labels, out, options):
    del train, dev, labels
    bundle = options.get("bundle")
    if bundle is None:
        folder, bundle = Path(sys.argv[2]), str(out / "model")
        space = LabelSpace.from_yaml(folder / "labels.yaml")
        rows, dev_rows = (read_rows(folder / f"{name}.jsonl", space=space) for name in ("train", "dev"))
        config = load_config(
            options["config"], [f"{k.removeprefix('set:')}={v}" for k, v in options.items() if k.startswith("set:")]
        )
        if "teacher" in options:
            more = read_rows(options["transfer"], labelled=False) if "transfer" in options else ()
            recipe.distil(options["teacher"], config, rows, dev_rows, bundle, transfer=more)
        else:
            recipe.train(config, rows, dev_rows, space, bundle)
    (out / "bundle.json").write_text(json.dumps(str(Path(bundle).resolve())), encoding="utf-8")
    kept = read_bundle(bundle)
    metrics = kept.metrics
    more = metrics.get("transfer_rows")
    notes = [options.get("note", ""), f"with {more:,} rows without labels" if more else ""]
    told = {"note": "; ".join(note for note in notes if note), "more_rows": more or 0}
    if kept.is_exported or options.get("seconds") == "none":
        return told | {"seconds": None}
    return told | ({"seconds": metrics["seconds"]} if "bundle" in options else {})


class Loaded:
    reads_rows = True

    def __init__(self, out):
        self.model = Classifier.load(json.loads((out / "bundle.json").read_text(encoding="utf-8")))
        self.labels = self.model.labels

    def answer(self, rows):
        found = self.model.predict([row["text"] for row in rows], [row.get("context") for row in rows])
        scores = [[answer.scores.get(label, 0.0) for label in self.labels] for answer in found]
        return scores, [answer.labels for answer in found]


main(fit, Loaded)
