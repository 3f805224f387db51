"""LibMultiLabel's linear method: one-vs-rest LIBLINEAR on TF-IDF of character n-grams, thresholds by its cross-validation."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import libmultilabel.linear as linear
import pandas
from pipe import joined, main


def fit(train, dev, labels, out, options):
    del dev  # its thresholds come from folds of the training rows
    frame = pandas.DataFrame({"label": [[*row["labels"]] for row in train], "text": [joined(row) for row in train]})
    data = {"data_format": "dataframe", "classes": labels, "train": {"x": frame["text"].tolist(), "y": frame["label"].tolist()}}
    prepared = linear.Preprocessor(tfidf_params={"analyzer": "char", "ngram_range": (1, 3), "sublinear_tf": True})
    prepared.fit(data)
    rows = prepared.transform(data)["train"]
    model = linear.train_thresholding(rows["y"], rows["x"], options.get("options", "-s 1 -c 1 -m 2"))
    (out / "model.pkl").write_bytes(pickle.dumps((prepared, model, labels)))


class Loaded:
    def __init__(self, out):
        self.prepared, self.model, self.labels = pickle.loads((out / "model.pkl").read_bytes())
        self.order = [list(self.prepared.label_mapping).index(name) for name in self.labels]

    def answer(self, texts):
        scores = linear.predict_values(self.model, self.prepared.vectorizer.transform(texts))[:, self.order]
        return scores, [[self.labels[column] for column in row.nonzero()[0]] for row in scores > 0]


main(fit, Loaded)
