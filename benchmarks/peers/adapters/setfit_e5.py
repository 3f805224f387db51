"""SetFit: pairs pull the e5 encoder's sentence vectors together, then one logistic regression a label; threshold 0.5.

Options: encoder=FOLDER, steps=N (pairs are drawn as SetFit draws them, and cut after N batches of 16 pairs).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from datasets import Dataset
from pipe import joined, main
from sentence_transformers import SentenceTransformer, models
from setfit import SetFitModel, Trainer, TrainingArguments
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier


def fit(train, dev, labels, out, options):
    del dev
    parts = models.Transformer(options["encoder"], max_seq_length=128)
    body = SentenceTransformer(
        modules=[parts, models.Pooling(parts.get_embedding_dimension(), "mean"), models.Normalize()], device="cpu"
    )
    body.float()  # a checkpoint in half precision would be trained in it, which is slow on a CPU and underflows
    head = OneVsRestClassifier(LogisticRegression(C=10, max_iter=1000, class_weight="balanced"))
    model = SetFitModel(model_body=body, model_head=head, multi_target_strategy="one-vs-rest", labels=labels)
    truth = [[int(label in row["labels"]) for label in labels] for row in train]
    rows = Dataset.from_dict({"text": [joined(row) for row in train], "label": truth})
    steps = int(options.get("steps", 250))
    settings = TrainingArguments(
        output_dir=str(out / "run"),
        batch_size=16,
        max_steps=steps,
        sampling_strategy="undersampling",
        body_learning_rate=3e-5,
        use_amp=False,
        report_to="none",
        save_strategy="no",
        seed=0,
    )
    trainer = Trainer(model=model, args=settings, train_dataset=rows)
    trainer.train()
    model.save_pretrained(str(out / "model"))
    (out / "labels.json").write_text(json.dumps(labels, ensure_ascii=False), encoding="utf-8")
    return {"note": f"{steps} steps of 16 pairs"}


class Loaded:
    def __init__(self, out):
        self.model = SetFitModel.from_pretrained(str(out / "model"), device="cpu")
        self.model.model_body.float()
        self.labels = json.loads((out / "labels.json").read_text(encoding="utf-8"))

    def answer(self, texts):
        scores = self.model.predict_proba(list(texts), as_numpy=True, show_progress_bar=False)
        return scores, [[self.labels[column] for column in row.nonzero()[0]] for row in scores > 0.5]


main(fit, Loaded)
