"""The tables of all sets, kept beside the page of results; prints the parts of the page that are made from them.

    python benchmarks/peers/page.py docs/results/peers SET=OUT [SET=OUT ...]

Each OUT is a folder that table.py has written to; SET names the files. First the verdicts of all sets, then the tables.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from duobiao.data.write import write_text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("sets", nargs="+", metavar="SET=OUT")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    verdicts, tables = [], []
    for name, out in (one.split("=", 1) for one in args.sets):
        shutil.copyfile(Path(out) / "table.svg", args.folder / f"{name}.svg")
        systems = json.loads((Path(out) / "table.json").read_text(encoding="utf-8"))
        plain = [one | {"options": [without_folders(option) for option in one["options"]]} for one in systems]
        write_text(args.folder / f"{name}.json", json.dumps(plain, ensure_ascii=False, indent=1) + "\n")
        title, said, table = (Path(out) / "table.md").read_text(encoding="utf-8").split("\n\n", 2)
        verdicts.append(f"**{title.removeprefix('## ')}**\n\n{said}")
        tables.append(f"{title}\n\n![Quality against time]({args.folder.name}/{name}.svg)\n\n{table.rstrip()}")
    print("\n\n".join([*verdicts, *tables]))


def without_folders(option: str) -> str:
    """A setting, with the last telling name of a path instead of the path."""
    name, _, value = option.partition("=")
    if "/" not in value or name == "note":
        return option
    return f"{name}={[part for part in Path(value).parts if part != 'model'][-1]}"


if __name__ == "__main__":
    main()
