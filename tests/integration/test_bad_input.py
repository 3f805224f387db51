"""Files that nobody would write by hand: every command ends with 0 or 2, and a refusal says why and leaves nothing behind."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from duobiao.cli.app import app

ROWS = [
    {
        "id": str(at),
        "text": f"快递第{at}天还没到",
        "labels": ["物流" if at % 2 else "质量"],
        "group_id": f"g{at}",
        "call": f"AI: 是客户本人吗\nME: 对{at}",
    }
    for at in range(12)
]
MANY = [f"标签{at}" for at in range(1000)]
LONG = "".join(chr(0x4E00 + at % 20_000) for at in range(3_400_000))  # 10 MB


def lines(rows: list[dict[str, Any]] | None = None) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows or ROWS)


def table(end: Callable[[int], str]) -> str:
    cells = [["id", "text", "labels", "call"], *[[str(row["id"]), row["text"], row["labels"][0], "AI: 好"] for row in ROWS]]
    return "".join(",".join(line) + end(at) for at, line in enumerate(cells))


def changed(at: int, **fields: Any) -> str:
    return lines([{**row, **fields} if number == at else row for number, row in enumerate(ROWS)])


FILES: dict[str, str | bytes] = {
    "empty.jsonl": "",
    "empty.csv": "",
    "empty.json": "",
    "empty.xlsx": "",
    "empty.parquet": "",
    "nul.jsonl": "\0" * 100,
    "nul.csv": "\0" * 100,
    "nul.xlsx": "\0" * 100,
    "nul-inside.csv": table(lambda at: "\n").replace("第3", "第\0"),
    "nul-escaped.jsonl": lines().replace("第3", "第\\u0000"),
    "half.jsonl": lines().encode() + '{"text": "好'.encode()[:-1],
    "half.csv": table(lambda at: "\n").encode() + "13,好".encode()[:-1],
    "half-gb.csv": table(lambda at: "\n").encode("gb18030") + b"\xc4",
    "surrogate.jsonl": lines().replace("第3", "第\\ud83d"),
    "surrogates.jsonl": lines().replace('"id": "3"', '"id": "\\udc00"').replace("物流", "物\\ud83d流").replace("g5", "\\ud83d"),
    "mixed.csv": table(lambda at: ("\n", "\r\n", "\r")[at % 3]),
    "mixed.jsonl": "\r\n".join(lines().split("\n")[:5]) + "\n" + lines(),
    "labels.jsonl": changed(3, labels=MANY, unknown=[f"另{at}" for at in range(50)]),
    "deep.jsonl": '{"text": ' + "[" * 50_000 + "\n",
    "types.jsonl": '{"text": 5, "labels": 7}\n{"text": NaN, "labels": {"a": 1}}\n{"text": "a", "labels": [["b"]]}\n',
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("bad")
    for name, content in FILES.items():
        (place / name).write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    (place / "labels.yaml").write_text("labels: [物流, 质量]", encoding="utf-8")
    (place / "many.yaml").write_text(f"labels: [物流, 质量, {', '.join(MANY)}]", encoding="utf-8")
    return place


def commands(source: Path, labels: Path, out: Path) -> Iterator[list[Any]]:
    copy = out / f"copy{source.suffix}"
    yield ["clean", "--input", source, "--output", copy, "--show"]
    yield [
        "prepare",
        "transcripts",
        "--flow",
        "callback",
        "--input",
        source,
        "--output",
        out / "r.jsonl",
        "--todo",
        out / "t.xlsx",
    ]
    yield ["check", source, "--html", out / "page.html", "--fix", out / "fixed"]
    yield ["split", source, "--out", out / "s"]
    yield ["mine", "--train", source, "--output", out / "w.yaml", "--picture", out / "w.html"]
    for tool, name in (("excel", "a.xlsx"), ("label-studio", "a.json")):
        yield ["annotate", "export", source, "--format", tool, "--labels", labels, "--output", out / name]
    done = ["--format", "doccano", "--labels", labels, "--output", out / "m.jsonl", "--report", out / "report.json"]
    yield ["annotate", "import", "--base", source, "--from", source, *done]


def run(arguments: list[Any]) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code in (0, 2), (arguments, result.output)
    assert "Traceback" not in result.output
    return result


@pytest.mark.parametrize("name", FILES)
def test_a_nasty_file_ends_well_in_every_command(folder: Path, tmp_path: Path, name: str):
    before = (folder / name).read_bytes()
    labels = folder / ("many.yaml" if name == "labels.jsonl" else "labels.yaml")
    for number, arguments in enumerate(commands(folder / name, labels, tmp_path)):
        result = run(arguments)
        assert [path for path in tmp_path.rglob("*") if ".part" in path.name] == [], arguments
        if result.exit_code == 2:
            assert "error: " in result.stderr, arguments
            assert number == 2 or not any(tmp_path.iterdir()), arguments  # check tells what it can before it refuses to fix
        for path in tmp_path.iterdir():
            path.rename(folder / f"{name}-{number}-{path.name}")
    assert (folder / name).read_bytes() == before


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_a_cell_of_ten_megabytes(tmp_path: Path, ending: str):
    source, out = tmp_path / f"a{ending}", tmp_path / "out"
    source.write_text(
        f"text,labels\n{LONG},物流\n{''.join(f'第{at}句,质量{chr(10)}' for at in range(9))}"
        if ending == ".csv"
        else lines([{"text": LONG}]),
        encoding="utf-8",
    )
    assert (
        run(["clean", "--input", source, "--output", out / f"b{ending}", "--show", "--steps", "nfkc,whitespace"]).exit_code == 0
    )
    assert (out / f"b{ending}").stat().st_size > 10_000_000
    assert run(["prepare", "transcripts", "--flow", "callback", "--input", source, "--output", out / "r.jsonl"]).exit_code == 2
    if ending == ".csv":
        assert run(["split", source, "--out", out / "s", "--shares", "50,50"]).exit_code == 0


def test_formula_cells(tmp_path: Path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for line in (["id", "text", "labels", "call"], [1, "=1+1", "物流", "AI: 好"], [2, "好", "质量", '="AI: "&A1']):
        book.active.append(line)
    book.save(tmp_path / "a.xlsx")
    (tmp_path / "labels.yaml").write_text("labels: [物流, 质量]", encoding="utf-8")
    for arguments in commands(tmp_path / "a.xlsx", tmp_path / "labels.yaml", tmp_path / "out"):
        result = run(arguments)
        assert "B2: a formula without its value" in result.output, arguments


def test_dates_that_no_calendar_has(tmp_path: Path):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    dates = pyarrow.array([10**14, 0], pyarrow.timestamp("s"))
    parquet.write_table(
        pyarrow.table({"text": ["好", "行"], "date": dates, "labels": [["甲"], ["乙"]]}), tmp_path / "a.parquet"
    )
    result = run(["split", tmp_path / "a.parquet", "--out", tmp_path / "out"])
    assert result.exit_code == 2
    assert "not readable as Parquet" in result.stderr
