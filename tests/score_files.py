"""Files for tests of scoring."""

from __future__ import annotations

import csv
import json
from pathlib import Path

TEXTS = ("快递坏了，喜欢", "开票要快", "打错了", '他说"开票"，\n第二行, 找经理', "物流太慢，质量也差", "好的")


def records(count: int) -> list[dict[str, str]]:
    """Rows, every 50th without a text."""
    return [
        {"id": f"r{n}", "text": "" if n % 50 == 7 else f"{TEXTS[n % len(TEXTS)]}{n % 13}", "note": f"备注{n}"}
        for n in range(count)
    ]


def many_rows(path: Path, count: int, encoding: str = "utf-8") -> Path:
    """Writes rows; the ending names the format."""
    rows = records(count)
    if path.suffix == ".csv":
        with path.open("w", encoding=encoding, newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".parquet":
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=70)
    else:
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding=encoding)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, hidden ones too."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
