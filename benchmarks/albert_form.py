"""ALBERT's form beside BERT's: encoders of one shape (4 layers of 312) from random weights, with the built-in encoder's tokens.

    python benchmarks/albert_form.py OUT

OUT gets two folders, albert and bert, for ``duobiao train --set encoder=FOLDER``; ALBERT's has shared layers and an embedding
of 128 columns. The commands that were run with them stand on the page of the ALBERT teacher, docs/systems/albert.md.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import torch
from transformers import AlbertConfig, AlbertModel, BertConfig, BertModel

from duobiao import builtin

SHAPE = {"hidden_size": 312, "num_hidden_layers": 4, "num_attention_heads": 12, "intermediate_size": 1248}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    tokens = builtin.encoder_folder()
    known = json.loads((tokens / "config.json").read_text(encoding="utf-8"))
    shape = SHAPE | {"vocab_size": known["vocab_size"], "pad_token_id": known.get("pad_token_id", 0)}
    for name, config in (
        ("albert", AlbertConfig(embedding_size=128, hidden_act="gelu", **_dropout(), **shape)),
        ("bert", BertConfig(**_dropout(), **shape)),
    ):
        torch.manual_seed(0)
        model = AlbertModel(config) if isinstance(config, AlbertConfig) else BertModel(config)
        model.save_pretrained(out / name)
        for file in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copyfile(tokens / file, out / name / file)
        print(out / name, f"{sum(values.numel() for values in model.parameters()):,} parameters")


def _dropout() -> dict[str, float]:
    return {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}


if __name__ == "__main__":
    main()
