"""The transformers text-classification pipeline with the weights of a teacher that duobiao trained (teacher=BUNDLE).

Nothing of duobiao runs here: the bundle's weights, form and tokenizer go into transformers' own classes, an encoder with the
mean over its tokens (or its first token) and an output layer. The pipeline knows neither thresholds nor groups: every label of
0.5 or more by the sigmoid is said. seconds=N: the teacher's training.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import torch
from pipe import main
from safetensors.torch import load_file
from torch import nn
from transformers import AutoConfig, AutoModel, PreTrainedModel, PreTrainedTokenizerFast, TextClassificationPipeline, logging
from transformers.modeling_outputs import SequenceClassifierOutput


def fit(train, dev, labels, out, options):
    del train, dev
    teacher = Path(options["teacher"])
    told = json.loads((teacher / "bundle.json").read_text(encoding="utf-8"))
    groups = told["label_space"].get("groups", {}).values()
    space = [*told["label_space"].get("labels", []), *(label for group in groups for label in group["labels"])]
    assert sorted(space) == sorted(labels), "the teacher has other labels"
    kept = told["model"] | {"labels": space, "max_length": told["input"]["max_length"]}
    (out / "config.json").write_text(json.dumps(kept, ensure_ascii=False), encoding="utf-8")
    for name in ("model.safetensors", "tokenizer.json"):
        shutil.copyfile(teacher / name, out / name)
    return {"seconds": float(options["seconds"]) if "seconds" in options else None, "note": "the teacher's weights"}


class Model(PreTrainedModel):
    """Encoder, pooling, output layer."""

    _supports_sdpa = True

    def __init__(self, config, pooling):
        super().__init__(config)
        self.encoder, self.pooling = AutoModel.from_config(config), pooling
        self.output = nn.Linear(config.hidden_size, config.num_labels)

    def forward(self, input_ids, attention_mask, token_type_ids=None, **_):
        types = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask, **types).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(states.dtype)
        row = states[:, 0] if self.pooling == "cls" else (states * mask).sum(1) / mask.sum(1)
        return SequenceClassifierOutput(logits=self.output(row))


class Loaded:
    reads_rows = True

    def __init__(self, out):
        logging.set_verbosity_error()
        kept = json.loads((out / "config.json").read_text(encoding="utf-8"))
        self.labels, form = kept["labels"], dict(kept["encoder"])
        config = AutoConfig.for_model(form.pop("model_type"), **form)
        config.id2label = dict(enumerate(self.labels))
        config.label2id = {name: number for number, name in enumerate(self.labels)}
        model = Model(config, kept["pooling"])
        missing, unknown = model.load_state_dict(load_file(out / "model.safetensors"), strict=False)
        assert not unknown, unknown
        assert all(".pooler." in name for name in missing), missing
        words = PreTrainedTokenizerFast(tokenizer_file=str(out / "tokenizer.json"), model_max_length=kept["max_length"])
        words.pad_token = words.convert_ids_to_tokens(kept["pad_id"])
        torch.set_grad_enabled(False)
        self.pipe = TextClassificationPipeline(model=model.eval(), tokenizer=words, top_k=None, function_to_apply="sigmoid")

    def answer(self, rows):
        texts = [{"text": row["context"], "text_pair": row["text"]} if row.get("context") else row["text"] for row in rows]
        found = [{one["label"]: one["score"] for one in row} for row in self.pipe(texts, batch_size=32, truncation=True)]
        return (
            [[row[label] for label in self.labels] for row in found],
            [[label for label, score in row.items() if score >= 0.5] for row in found],
        )


main(fit, Loaded)
