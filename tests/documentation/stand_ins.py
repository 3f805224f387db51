"""Little stand-ins for packages of others that benchmarks compare with: what a benchmark asks of them, and no more."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

INFINITY = '''#!{python}
"""Answers /classify as infinity does, with one label."""
import argparse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--model-id", type=Path)
parser.add_argument("--port", type=int)
given, _ = parser.parse_known_args()
assert (given.model_id / "model.safetensors").is_file()
assert (given.model_id / "tokenizer_config.json").is_file()


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        known = self.path == "/classify"
        self.send_response(200 if known else 404)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{{}}")

    def log_message(self, *args):
        pass


ThreadingHTTPServer(("127.0.0.1", given.port), Answers).serve_forever()
'''


def kd_ce_loss(logits: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """Cross-entropy of one softmax over all labels."""
    wanted = torch.softmax(teacher / temperature, dim=-1)
    return -(wanted * torch.log_softmax(logits / temperature, dim=-1)).sum(dim=-1).mean()


class FastBERT:
    """Takes weights, learns nothing, and says the first label after the first layer."""

    def __init__(self, kind: str, labels: Sequence[str], seq_length: int, is_load: bool) -> None:
        self.labels, self.names = labels, set[str]()
        self.kernel = SimpleNamespace(encoder=SimpleNamespace(layers_num=2), load_state_dict=self._take)

    def _take(self, state: dict[str, torch.Tensor], strict: bool) -> SimpleNamespace:
        self.names = set(state)
        return SimpleNamespace(unexpected_keys=[], missing_keys=["target.weight"])

    def fit(self, sentences: Sequence[str], labels: Sequence[str], **settings: Any) -> None:
        assert "encoder.transformer.1.self_attn.linear_layers.0.weight" in self.names
        assert len(sentences) == len(labels)

    def eval(self) -> FastBERT:
        return self

    def __call__(self, text: str, speed: float) -> tuple[str, int]:
        ids, mask = self._convert_to_id_and_mask(text)  # type: ignore[attr-defined]
        assert len(ids) == len(mask)
        return self.labels[0], 1


def put_in(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Puts them where they are looked for: among the modules, and infinity's program beside the Python ``other/bin/python``."""
    for name, members in {
        "textbrewer": {},
        "textbrewer.losses": {"kd_ce_loss": kd_ce_loss},
        "fastplm": {},
        "fastplm.config": {"MODEL_CONFIG_FILE": {}},
        "fastplm.fastbert": {"MODEL_CONFIG_FILE": {}, "FastBERT": FastBERT},
    }.items():
        module = ModuleType(name)
        vars(module).update(members)
        patch.setitem(sys.modules, name, module)
        package, _, last = name.rpartition(".")
        if package:
            setattr(sys.modules[package], last, module)
    program = folder / "other" / "bin" / "infinity_emb"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(INFINITY.format(python=sys.executable), encoding="utf-8")
    program.chmod(0o755)
