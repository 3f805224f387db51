"""scikit-learn: character n-gram TF-IDF and one linear SVM a label; C and one cut for all labels are chosen on the dev rows."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import numpy as np
from pipe import joined, main
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import f1_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MultiLabelBinarizer
from sklearn.svm import LinearSVC

STRENGTHS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
CUTS = np.arange(-0.6, 0.11, 0.1)


def fit(train, dev, labels, out, options):
    marks = MultiLabelBinarizer(classes=labels)
    truth, wanted = (marks.fit_transform([row["labels"] for row in rows]) for rows in (train, dev))
    texts, asked = ([joined(row) for row in rows] for rows in (train, dev))
    tried = []
    for strength in [float(options["c"])] if "c" in options else STRENGTHS:
        vectors = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True)
        model = make_pipeline(vectors, OneVsRestClassifier(LinearSVC(C=strength))).fit(texts, truth)
        scores = model.decision_function(asked)
        for cut in CUTS:
            micro = f1_score(wanted, scores > cut, average="micro", zero_division=0)
            tried.append((micro, -abs(cut), strength, float(cut), model))
    _, _, strength, cut, model = max(tried, key=lambda one: one[:4])
    (out / "model.pkl").write_bytes(pickle.dumps((model, labels, cut)))
    return {"note": f"C {strength:g}, cut {cut:.1f}, the best of {len(tried)} pairs"}


class Loaded:
    def __init__(self, out):
        self.model, self.labels, self.cut = pickle.loads((out / "model.pkl").read_bytes())

    def answer(self, texts):
        scores = self.model.decision_function(texts)
        return scores, [[self.labels[column] for column in row.nonzero()[0]] for row in scores > self.cut]


main(fit, Loaded)
