"""The tables of all sets, kept beside the page of results; prints the parts of the page that are made from them.

    python benchmarks/peers/page.py docs/results/peers SET=OUT [SET=OUT ...]

Each OUT is a folder that table.py has written to; SET names the files. First the verdicts of all sets, then the tables.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("sets", nargs="+", metavar="SET=OUT")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    verdicts, tables = [], []
    for name, out in (one.split("=", 1) for one in args.sets):
        for kind in ("json", "svg"):
            shutil.copyfile(Path(out) / f"table.{kind}", args.folder / f"{name}.{kind}")
        title, said, table = (Path(out) / "table.md").read_text(encoding="utf-8").split("\n\n", 2)
        verdicts.append(f"**{title.removeprefix('## ')}**\n\n{said}")
        tables.append(f"{title}\n\n![Quality against time]({args.folder.name}/{name}.svg)\n\n{table.rstrip()}")
    print("\n\n".join([*verdicts, *tables]))


if __name__ == "__main__":
    main()
