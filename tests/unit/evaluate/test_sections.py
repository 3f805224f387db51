import re

from report_pages import SPACE, page, system

from duobiao.evaluate.cases import Cases
from duobiao.evaluate.wording import TEXTS


def test_bars_stand_in_two_orders_and_show_intervals():
    labels = {
        name: {"precision": 0.5, "recall": 0.5, "f1": 0.1 * place, "support": place} for place, name in enumerate(SPACE.names)
    }
    labels["物流"]["interval"] = [0.25, 0.75]
    html, parsed = page([system("a", reference=True, per_label=labels)])
    lines = [one for one in parsed.all("div") if "--f" in str(one.get("style"))]
    assert [one["style"] for one in lines] == ["--f: 3; --s: 3", "--f: 0; --s: 2", "--f: 1; --s: 1", "--f: 2; --s: 0"]
    assert 'class="whisker" style="left: 25.0%; width: 50.0%"' in html


def test_the_examined_system_stands_beside_the_reference():
    systems = [system("a", 0.9), system("b", 0.8, reference=True), system("c", 0.7)]
    for examined, other in (("c", "b"), ("b", "a"), ("a", "b")):
        html, _ = page(systems, cases=Cases(examined))
        assert f"{examined} / {other}" in html


def test_confusions_count_rows_and_leave_out_what_never_occurs():
    group = {"accuracy": 0.75, "rows": 4, "labels": ["正面", "负面", "(none)"], "confusion": [[3, 1, 0], [0, 0, 0], [0, 0, 0]]}
    html, _ = page([system("a", reference=True, groups={"情感": group})], language="en")
    cells = re.findall(r'<td class="(right|wrong)( zero)?" style="--a: (\S+)">(\d+)</td>', html)
    assert [(kind, share, count) for kind, _, share, count in cells] == [
        ("right", "0.52", "3"),
        ("wrong", "0.17", "1"),
        ("wrong", "0.00", "0"),
        ("right", "0.00", "0"),
    ]


def test_inside_a_group_its_name_is_not_repeated():
    group = {
        "accuracy": 1.0,
        "rows": 2,
        "labels": ["情感/正面", "情感", "情感好"],
        "confusion": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    }
    html, _ = page([system("a", reference=True, groups={"情感": group})])
    assert re.findall(r"<thead><tr><th></th><th>(.+?)</th><th>(.+?)</th><th>(.+?)</th></tr>", html) == [
        ("正面", "情感", "情感好")
    ]


def test_calibration_and_cooccurrence_are_shown():
    bins = [{"count": 5, "mean": 0.25, "share": 0.5}, {"count": 5, "mean": 0.75, "share": 0.75}]
    table = {"labels": ["物流", "正面"], "true": [[9, 4], [4, 9]], "decided": [[9, 2], [2, 9]]}
    pairs = [{"labels": ["物流", "正面"], "true": 4, "decided": 2}]
    one = system(
        "a",
        reference=True,
        calibration={"ece": 0.125, "brier": 0.2, "bins": bins},
        cooccurrence={"pairs": pairs, "table": table},
    )
    html, parsed = page([one])
    assert "ECE 0.1250 · Brier 0.2000" in html
    assert ("50.0", "100.0") in {(str(dot["cx"]), str(dot["cy"])) for dot in parsed.all("circle")}
    assert "物流 + 正面" in parsed.text
    assert "-2" in parsed.text
    assert re.findall(r'<td class="(true|said)" style="--a: (\S+)">(\d)</td>', html) == [
        ("true", "0.70", "4"),
        ("said", "0.35", "2"),
    ]


def test_a_system_has_one_colour_even_where_another_has_no_calibration():
    bins = [{"count": 5, "mean": 0.25, "share": 0.5}]
    shown = {"calibration": {"ece": 0.1, "brier": 0.2, "bins": bins}}
    html, _ = page([system("a", reference=True), system("b", **shown), system("c", **shown)])
    table = dict(re.findall(r'<td><span class="dot" style="background: (\S+?)"></span>(\w)\n', html))
    panels = re.findall(
        r'class="title"><span class="dot" style="background: (\S+?)"></span>(\w):.*?stroke="(.*?)".*?<circle .*?fill="(.*?)"',
        html,
        re.DOTALL,
    )
    assert {name: {dot, line, fill} for dot, name, line, fill in panels} == {
        name: {paint} for paint, name in table.items() if name != "a"
    }
    assert len(table) == 3


def test_nodes_and_slices_are_shown():
    slices = {
        "length": [{"name": "1-5", "rows": 40, "micro_f1": 0.5, "low": 0.4, "high": 0.6, "differs": True}],
        "context": [
            {"name": "甲", "rows": 40, "micro_f1": 0.5, "low": None, "high": None, "differs": False},
            {"name": "乙", "rows": 40, "micro_f1": 0.4321, "low": 0.3, "high": 0.5, "differs": True},
        ],
    }
    contexts = {"甲": {"rows": 40, "micro_f1": 0.4999}, "乙": {"rows": 40, "micro_f1": 0.4321}}
    _, parsed = page([system("a", reference=True, slices=slices, contexts=contexts)], language="en")
    assert "0.4999" in parsed.text
    assert parsed.text.count("甲") == 1, "slices by node are shown where they differ"
    assert parsed.text.count("乙") == 2
    assert parsed.text.count(TEXTS["en"]["differs"]) == 2
    assert "0.400–0.600" in parsed.text
    assert "length (characters)" in parsed.text
