"""LibMultiLabel's KimCNN on characters, embedding from random numbers, best epoch by dev micro-F1; threshold 0.5."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import torch
from libmultilabel.nn import data_utils, nn_utils
from pipe import joined, main

NETWORK = {"filter_sizes": [2, 3, 4], "num_filter_per_size": 256, "embed_dropout": 0.2, "post_encoder_dropout": 0.2}
LENGTH = 256


def tokens(text):
    return [character for character in text.lower() if not character.isspace()] or ["<unk>"]


def fit(train, dev, labels, out, options):
    nn_utils.set_seed(0)
    device = nn_utils.init_device(use_cpu=True)
    rows = [[{"label": row["labels"], "text": tokens(joined(row))} for row in part] for part in (train, dev)]
    words = ["<pad>", "<unk>", *sorted({token for row in rows[0] for token in row["text"]} - {"<unk>"})]
    index = {word: number for number, word in enumerate(words)}
    model = nn_utils.init_model(
        "KimCNN",
        NETWORK,
        labels,
        embed_vecs=torch.randn(len(words), 300) * 0.1,
        learning_rate=float(options.get("lr", 1e-3)),
        monitor_metrics=["Micro-F1"],
        val_metric="Micro-F1",
        silent=True,
    )
    epochs, patience = int(options.get("epochs", 50)), int(options.get("patience", 8))
    trainer = nn_utils.init_trainer(
        out,
        epochs=epochs,
        patience=patience,
        early_stopping_metric="Micro-F1",
        val_metric="Micro-F1",
        silent=True,
        use_cpu=True,
    )
    loaders = [
        data_utils.get_dataset_loader(part, labels, device, LENGTH, 32, shuffle, data_workers=0, word_dict=index)
        for part, shuffle in zip(rows, (True, False), strict=True)
    ]
    trainer.fit(model, *loaders)
    best = torch.load(trainer.checkpoint_callback.best_model_path, weights_only=False)["state_dict"]
    torch.save({"state": best, "words": words, "labels": labels}, out / "model.pt")
    for path in out.glob("*.ckpt"):
        path.unlink()
    return {"note": f"{trainer.current_epoch} epochs"}


class Loaded:
    def __init__(self, out):
        kept = torch.load(out / "model.pt", weights_only=False)
        self.labels, words = kept["labels"], kept["words"]
        self.index = {word: number for number, word in enumerate(words)}
        self.model = nn_utils.init_model(
            "KimCNN", NETWORK, self.labels, embed_vecs=torch.zeros(len(words), 300), monitor_metrics=["Micro-F1"], silent=True
        )
        self.model.load_state_dict(kept["state"])
        self.model.eval()
        # its label order is that of the list it was given, sorted by its binarizer
        self.order = [sorted(self.labels).index(name) for name in self.labels]

    def answer(self, texts):
        ids = [torch.LongTensor([self.index.get(token, 1) for token in tokens(text)][:LENGTH]) for text in texts]
        batch = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True)
        if batch.shape[1] < max(NETWORK["filter_sizes"]):
            batch = torch.nn.functional.pad(batch, (0, max(NETWORK["filter_sizes"]) - batch.shape[1]))
        with torch.inference_mode():
            scores = torch.sigmoid(self.model.network({"text": batch})["logits"]).numpy()[:, self.order]
        return scores, [[self.labels[column] for column in row.nonzero()[0]] for row in scores > 0.5]


main(fit, Loaded)
