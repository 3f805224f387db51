"""The transformers text-classification pipeline with the weights of a teacher that duobiao trained (teacher=BUNDLE).

The pipeline knows neither thresholds nor groups: every label of 0.5 or more by the sigmoid is said. seconds=N: its training.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]
from engine import make_pipeline
from pipe import main
from transformers import logging

from duobiao.classifier import Classifier


def fit(train, dev, labels, out, options):
    del train, dev, labels
    (out / "bundle.json").write_text(json.dumps(str(Path(options["teacher"]).resolve())), encoding="utf-8")
    return {"seconds": float(options["seconds"]) if "seconds" in options else None, "note": "the teacher's weights"}


class Loaded:
    reads_rows = True

    def __init__(self, out):
        logging.set_verbosity_error()
        teacher = Classifier.load(json.loads((out / "bundle.json").read_text(encoding="utf-8")))
        self.labels, self.pipe = teacher.labels, make_pipeline(teacher)

    def answer(self, rows):
        texts = [{"text": row["context"], "text_pair": row["text"]} if row.get("context") else row["text"] for row in rows]
        found = [{one["label"]: one["score"] for one in row} for row in self.pipe(texts, batch_size=32, truncation=True)]
        return (
            [[row[label] for label in self.labels] for row in found],
            [[label for label, score in row.items() if score >= 0.5] for row in found],
        )


main(fit, Loaded)
