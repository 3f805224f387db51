"""Operating points as users write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from duobiao.errors import ConfigError
from duobiao.evaluate.point_options import parse_points


def test_tables_of_costs_are_looked_for_beside_the_file_that_names_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder, elsewhere = tmp_path / "points", tmp_path / "elsewhere"
    for place, cost in ((folder, 7), (elsewhere, 1)):
        place.mkdir()
        (place / "costs.csv").write_text(f"label,false_positive,false_negative\n物流,1,{cost}\n", encoding="utf-8")
    (folder / "points.yaml").write_text(
        "long: {target: cost, costs: costs.csv}\nshort: costs.csv\nup: ../elsewhere/costs.csv\n", encoding="utf-8"
    )
    monkeypatch.chdir(elsewhere)
    for file in (folder / "points.yaml", Path("../points/points.yaml")):
        found = parse_points(["here=costs.csv"], file)
        costs = {name: point.costs["物流"].false_negative for name, point in found.items()}
        assert costs == {"long": 7, "short": 7, "up": 1, "here": 1}
    (folder / "costs.csv").unlink()
    with pytest.raises(ConfigError, match=r"points/costs\.csv: there is no such table"):
        parse_points([], folder / "points.yaml")


def test_every_cell_that_is_no_cost_is_told_with_its_line(tmp_path: Path):
    table = tmp_path / "costs.csv"
    table.write_text("label,false_positive,false_negative\n物流,0,1\n发票,两元,3\n*,-1,x\n退款, 2 ,5\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        parse_points([f"cost={table}"])
    problems = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 4
    for place in (
        "line 2 (物流): false_positive is '0'",
        "line 3 (发票): false_positive is '两元'",
        "line 4 (*): false_positive is '-1'",
        "line 4 (*): false_negative is 'x'",
    ):
        assert place in problems
