"""fastText, one-vs-all loss on characters, the best of eight settings on the dev rows; threshold 0.5.

Its own search for settings (autotune) is not used: it tries large tables of n-grams and was killed for want of memory."""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import fasttext
import numpy as np
from pipe import joined, main


def words(text):
    return " ".join(text.replace("\n", " ").replace(" ", "")) or "."


def fit(train, dev, labels, out, options):
    numbers = {name: number for number, name in enumerate(labels)}
    lines = [" ".join([*(f"__label__{numbers[label]}" for label in row["labels"]), words(joined(row))]) for row in train]
    (out / "train.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    best, settings = None, {}
    for epoch, grams, rate in itertools.product((25, 100), (2, 3), (0.2, 0.5)):
        tried = {"epoch": epoch, "wordNgrams": grams, "lr": rate, "dim": 100, "bucket": 200_000}
        model = fasttext.train_supervised(str(out / "train.txt"), loss="ova", thread=2, verbose=0, **tried)
        value = micro_f1(model, dev, numbers)
        if best is None or value > best[0]:
            best, settings = (value, model), tried
    model = best[1]
    model.save_model(str(out / "model.bin"))
    (out / "labels.json").write_text(json.dumps(labels, ensure_ascii=False), encoding="utf-8")
    (out / "train.txt").unlink()
    return {"note": f"best of 8 settings: {settings}"}


def micro_f1(model, rows, numbers):
    hits = marks = 0
    for row in rows:
        found = model.f.predict(words(joined(row)) + "\n", -1, 0.5, "strict")
        said, truth = {name for _, name in found}, {f"__label__{numbers[label]}" for label in row["labels"]}
        hits, marks = hits + 2 * len(said & truth), marks + len(said) + len(truth)
    return hits / max(marks, 1)


class Loaded:
    def __init__(self, out):
        self.model = fasttext.load_model(str(out / "model.bin"))
        self.labels = json.loads((out / "labels.json").read_text(encoding="utf-8"))

    def answer(self, texts):
        scores = np.zeros((len(texts), len(self.labels)))
        for row, text in enumerate(texts):  # numbers are asked for directly: its list form breaks with NumPy 2
            for value, name in self.model.f.predict(words(text) + "\n", -1, 0.0, "strict"):
                scores[row, int(name.removeprefix("__label__"))] = value
        return scores, [[self.labels[column] for column in row.nonzero()[0]] for row in scores > 0.5]


main(fit, Loaded)
