"""Fits one peer in its own environment, and keeps what it answers on the dev and test rows.

    python benchmarks/peers/fit.py PEER ROWS OUT [--name NAME] [--python PYTHON] [NAME=VALUE ...]

PEER is a module of adapters/. ROWS was written by rows.py. The environment is made from requirements/PEER.txt in OUT's
neighbour ``environments/`` (or PYTHON is taken as it is); duobiao itself has no such file, and runs in its own. What was fitted
before is not fitted again. OUT/NAME gets model/, fit.json and answers.npz.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
from process import HERE, Process, fitted

from duobiao.labels import LabelSpace


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", choices=sorted(path.stem for path in (HERE / "adapters").glob("*.py")))
    parser.add_argument("rows", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--name", help="in the table; the peer's if left out")
    parser.add_argument("--python", help="an interpreter that has what the peer needs")
    parser.add_argument("options", nargs="*", metavar="NAME=VALUE")
    args = parser.parse_intermixed_args()
    out = args.out / (args.name or args.peer)
    if (out / "answers.npz").exists():
        print(f"{out}: fitted before")
        return
    python = args.python or environment(args.peer, args.out.parent / "environments")
    told = fitted(args.peer, python, args.rows, out / "model", args.options)
    entry = {"peer": args.peer, "python": str(python), "options": args.options, **told}
    space = LabelSpace.from_yaml(args.rows / "labels.yaml")
    with Process(args.peer, python, out / "model") as process:
        kept = {}
        for part in ("dev", "test"):
            rows = [json.loads(line) for line in (args.rows / f"{part}.jsonl").read_text(encoding="utf-8").splitlines()]
            scores, said = process.answers(rows, space.names)
            kept[f"{part}_scores"], kept[f"{part}_said"] = (
                scores,
                np.array([[name in one for name in space.names] for one in said]),
            )
    (out / "fit.json").write_text(json.dumps(entry, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    with (out / "answers.npz").open("wb") as file:
        np.savez_compressed(file, **kept)
    print(f"{out}: {told}")


def environment(peer: str, folder: Path) -> str:
    """The interpreter of a peer's own environment, made if need be; peers with the same needs share one."""
    needs = HERE / "requirements" / f"{peer}.txt"
    if not needs.exists():
        return sys.executable
    name = next(path.stem for path in sorted(needs.parent.glob("*.txt")) if path.read_bytes() == needs.read_bytes())
    python = folder / name / "bin" / "python"
    if not (folder / name / "ready").exists():
        shutil.rmtree(folder / name, ignore_errors=True)
        venv.create(folder / name, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "-r", needs], check=True)
        (folder / name / "ready").touch()
    return str(python.absolute())


if __name__ == "__main__":
    main()
