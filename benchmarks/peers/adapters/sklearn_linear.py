"""scikit-learn: character n-gram TF-IDF and one logistic regression a label, threshold 0.5."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from pipe import joined, main
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MultiLabelBinarizer


def fit(train, dev, labels, out, options):
    model = make_pipeline(
        TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True),
        OneVsRestClassifier(LogisticRegression(C=float(options.get("c", 10)), solver="liblinear")),
    )
    truth = MultiLabelBinarizer(classes=labels).fit_transform([row["labels"] for row in train])
    model.fit([joined(row) for row in train], truth)
    (out / "model.pkl").write_bytes(pickle.dumps((model, labels)))


class Loaded:
    def __init__(self, out):
        self.model, self.labels = pickle.loads((out / "model.pkl").read_bytes())

    def answer(self, texts):
        scores = self.model.predict_proba(texts)
        return scores, [[self.labels[column] for column in row.nonzero()[0]] for row in scores > 0.5]


main(fit, Loaded)
