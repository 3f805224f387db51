import re
from collections.abc import Sequence
from html.parser import HTMLParser
from typing import Any

import pytest

from duobiao.data.rows import Row
from duobiao.evaluate import advice
from duobiao.evaluate.cases import Cases
from duobiao.evaluate.mistakes import Mistake
from duobiao.evaluate.report import render_html, render_markdown
from duobiao.evaluate.suspects import Suspect
from duobiao.evaluate.wording import TEXTS
from duobiao.labels import LabelSpace

NASTY = '<b>&"'
SPACE = LabelSpace.from_dict({"labels": ["物流", NASTY], "groups": {"情感": {"labels": ["正面", "负面"]}}})
FREE = LabelSpace(("物流", NASTY))
MACHINE = {"cores": 2, "processor": "x", "system": "Linux", "python": "3.11.1"}
VOID = {"meta", "br", "img", "input", "link", "hr"}


def system(name: str, f1: float = 0.9, speed: float = 100.0, **changes: Any) -> dict[str, Any]:
    scores = {"rows": 50, "micro_f1": f1, "macro_f1": f1 - 0.01, "group_accuracy": 0.8}
    measured = {
        "rows_per_s": {"1": speed / 9, "32": speed},
        "p50_ms": {"1": 900 / speed, "32": 20.0},
        "p95_ms": {"1": 1000 / speed, "32": 30.0},
    }
    labels = {name: {"precision": 0.5, "recall": 0.5, "f1": 0.123, "support": 11} for name in SPACE.names}
    groups = {"情感": {"accuracy": 0.777, "rows": 33}}
    rest = {"parameters": 1234567, "mb": 4.56, "speedup": speed / 100, "notes": [], "reference": False}
    return {"name": name, "kind": "bigru", **scores, **measured, **rest, "per_label": labels, "groups": groups, **changes}


SYSTEMS = [
    system("linear", 0.84, 90000, kind="linear"),
    system("teacher", 0.9, 160, kind="encoder", reference=True, notes=["start=random weights"]),
    system("bigru-a", 0.887, 5200, notes=["teacher=teacher"]),
]


class Page(HTMLParser):
    """A page taken apart; a tag that is closed in the wrong place is an error."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == [], "every tag is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data.strip())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def page(systems: Sequence[dict[str, Any]] = SYSTEMS, space: LabelSpace = SPACE, **options: Any) -> tuple[str, Page]:
    options.setdefault("lines", advice.summary(systems, options.get("language", "zh")))
    html = render_html(systems, space, MACHINE, **options)
    return html, Page(html)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_it_is_one_file_that_asks_for_nothing(language: Any):
    html, parsed = page(language=language)
    assert "http://" not in html
    assert "https://" not in html
    assert "@import" not in html
    assert "url(" not in html
    assert {tag for tag, _ in parsed.tags} & {"script", "link", "iframe", "img", "object", "embed"} == set()
    for _, attributes in parsed.tags:
        assert not {"src", "href", "xlink:href"} & attributes.keys()
        assert not [name for name in attributes if name.startswith("on")]


def test_it_follows_the_reader_into_the_dark():
    html, parsed = page()
    assert "@media (prefers-color-scheme: dark)" in html
    assert "color-scheme: light dark" in html
    viewport = next(attributes for attributes in parsed.all("meta") if attributes.get("name") == "viewport")
    assert "width=device-width" in str(viewport["content"])


def test_names_are_text_and_never_markup():
    _, parsed = page([system('<i>x</i>&"', reference=True)], title="<u>title</u>")
    assert {tag for tag, _ in parsed.tags} & {"b", "i", "u"} == set()
    assert NASTY in parsed.text
    assert '<i>x</i>&"' in parsed.text
    assert "<u>title</u>" in parsed.text


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_system_label_and_group_is_there(language: Any):
    _, parsed = page(language=language)
    heads = [text for text in parsed.text if text]
    for name in (*SPACE.names, "情感"):
        assert name in heads
    for one in SYSTEMS:
        assert heads.count(one["name"]) >= 4, "in the table, the plot, the groups and the labels"
    assert {"0.8870", "0.777", "0.123", "1,234,567"} <= {*heads, *(text[:5] for text in heads)}
    assert any("start=random weights" in text for text in heads)


def test_languages():
    zh, parsed = page(language="zh")
    assert parsed.all("html")[0]["lang"] == "zh"
    assert TEXTS["zh"]["plot"] in zh
    en, parsed = page(language="en")
    assert parsed.all("html")[0]["lang"] == "en"
    assert TEXTS["en"]["plot"] in en
    assert not re.search("[\u4e00-\u9fff]", re.sub("物流|情感|正面|负面", "", en))
    assert TEXTS["zh"].keys() == TEXTS["en"].keys()
    assert advice.LINES["zh"].keys() == advice.LINES["en"].keys()


def test_best_values_are_marked():
    html, _ = page([{**SYSTEMS[0], "mb": 0.3}, {**SYSTEMS[1], "group_accuracy": 0.85}, SYSTEMS[2]])
    assert [one.strip() for one in re.findall(r'class="best">([^<]+)<', html)] == [
        "0.30",
        "90,000",
        "0.9000",
        "0.8900",
        "0.8500",
    ]


def test_columns_without_content_are_left_out():
    bare = [system("a", reference=True, groups={}, group_accuracy=None)]
    html, _ = page(bare, FREE, language="en")
    assert "group accuracy" not in html
    assert "Exclusive groups" not in html
    assert "unseen" not in html
    seen = [{**bare[0], "unseen_text": {"rows": 7, "micro_f1": 0.654321}}]
    html, _ = page(seen, FREE, language="en")
    assert "micro-F1 on unseen text (n=7)" in html
    assert "0.6543" in html
    none = [{**bare[0], "unseen_text": {"rows": 0, "micro_f1": 0.0}}]
    html, _ = page(none, FREE, language="en")
    assert "(n=0)" in html
    assert "0.0000" not in html, "no rows is not the same as all wrong"


# ---- the plot ----------------------------------------------------------------------------------------

SCATTERS = {
    "usual": [(s["rows_per_s"]["32"], s["micro_f1"]) for s in SYSTEMS],
    "single": [(123.0, 0.5)],
    "equal": [(500.0, 0.75)] * 6,
    "perfect": [(10.0, 1.0)] * 3,
    "nothing right": [(1000.0, 0.0)] * 3,
    "slow": [(0.4, 0.3), (0.7, 0.31)],
    "wide": [(0.2, 0.0), (3e6, 1.0)],
    "decades": [(10.0, 0.9), (100.0, 0.9), (1000.0, 0.9)],
    "crowded below": [(5000.0 + number, 0.8 + number / 1000) for number in range(5)] + [(100.0, 0.95)],
}


def plotted(
    scatter: list[tuple[float, float]], name: str = "a long name 很长的名字", kind: str = "wide"
) -> tuple[Page, float, float]:
    """One of the two pictures; speed is in rows a second, so that a row takes 1000 / speed ms."""
    systems = [system(f"{name}{number}", f1, speed) for number, (speed, f1) in enumerate(scatter)]
    systems[0]["reference"] = True
    html, _ = page(systems)
    parsed = picture(html, kind)
    width, height = map(float, str(parsed.all("svg")[0]["viewbox"]).split()[2:])
    return parsed, width, height


def picture(html: str, kind: str = "wide") -> Page:
    return Page(re.findall(rf'<svg class="plot {kind}".*?</svg>', html, re.DOTALL)[0])


@pytest.mark.parametrize("scatter", SCATTERS.values(), ids=SCATTERS)
def test_points_and_lines_stay_in_the_box(scatter: list[tuple[float, float]]):
    parsed, width, height = plotted(scatter)
    lines = [{key: float(str(value)) for key, value in line.items()} for line in parsed.all("line")]
    left, right = min(line["x1"] for line in lines), max(line["x2"] for line in lines)
    top, bottom = min(line["y1"] for line in lines), max(line["y2"] for line in lines)
    assert 0 < left < right < width
    assert 0 < top < bottom < height
    circles = parsed.all("circle")
    assert len(circles) == len(scatter)
    for circle in circles:
        assert left <= float(str(circle["cx"])) <= right
        assert top <= float(str(circle["cy"])) <= bottom
    assert all(0 <= float(text) <= 1 for text in parsed.text if re.fullmatch(r"-?\d\.\d{3}", text)), "no F1 is beyond 0 or 1"
    assert len({line["y1"] for line in lines if line["y1"] == line["y2"]}) >= 2
    assert len({line["x1"] for line in lines if line["x1"] == line["x2"]}) >= 2


@pytest.mark.parametrize("kind", ["wide", "narrow"])
@pytest.mark.parametrize("scatter", SCATTERS.values(), ids=SCATTERS)
def test_names_cover_neither_each_other_nor_points_and_stay_in_the_box(scatter: list[tuple[float, float]], kind: str):
    parsed, width, height = plotted(scatter, "name", kind)
    names = [text for text in parsed.all("text") if text.get("class") == "name"]
    assert len(names) == len(scatter)
    boxes = []
    for text in names:
        x, y, length = float(str(text["x"])), float(str(text["y"])), 7.2 * len("name0")
        start = x - {"start": 0, "middle": length / 2, "end": length}[str(text["text-anchor"])]
        assert start >= 0
        assert start + length <= width
        assert 10 <= y <= height - 5
        boxes.append((start, start + length, y))
    for number, (start, stop, y) in enumerate(boxes):
        for other_start, other_stop, other_y in boxes[number + 1 :]:
            assert stop <= other_start or other_stop <= start or abs(y - other_y) >= 12
        for circle in parsed.all("circle"):
            x, level = float(str(circle["cx"])), float(str(circle["cy"]))
            assert not (start < x < stop and y - 11 < level < y + 3)


def test_a_long_name_is_cut_at_its_beginning():
    parsed, _, _ = plotted([(100.0, 0.5)], "/very/long/path/to/a/folder/of/bundles/", "narrow")
    assert "…path/to/a/folder/of/bundles/0"[-27:] in [text[1:] for text in parsed.text if text.startswith("…")]


def test_better_is_left_and_up():
    parsed, _, _ = plotted([(100.0, 0.5), (1000.0, 0.6)])
    slow, fast = parsed.all("circle")
    assert float(str(fast["cx"])) < float(str(slow["cx"]))
    assert float(str(fast["cy"])) < float(str(slow["cy"]))


def test_points_stand_where_the_axes_say():
    html, _ = page([system("a", 0.5, 100.0, reference=True), system("b", 0.6, 1000.0)])
    shown = re.findall(r'<svg class="plot wide".*?</svg>', html, re.DOTALL)[0]
    places = {text: (float(x), float(y)) for x, y, text in re.findall(r'class="tick" x="(.+?)" y="(.+?)".*?>(.+?)<', shown)}
    slow, fast = [(float(str(circle["cx"])), float(str(circle["cy"]))) for circle in picture(html).all("circle")]
    assert (slow[0], fast[0]) == (places["10"][0], places["1"][0]), "100 rows a second are 10 ms a row"
    assert (slow[1], fast[1]) == (places["0.500"][1] - 4, places["0.600"][1] - 4)  # text stands on its base line


def test_the_front_is_a_staircase_through_the_systems_that_nothing_beats():
    html, _ = page([system("a", 0.5, 1000.0, reference=True), system("b", 0.7, 100.0), system("c", 0.6, 50.0)])
    parsed = picture(html)
    points = [tuple(map(float, place.split(","))) for place in str(parsed.all("polyline")[0]["points"]).split()]
    fast, good, beaten = [(float(str(circle["cx"])), float(str(circle["cy"]))) for circle in parsed.all("circle")]
    assert points[0] == fast
    assert points[1] == (good[0], fast[1])
    assert points[2] == good
    assert points[3][1] == good[1]
    assert beaten not in points


def test_intervals_are_drawn_and_lie_inside():
    html, _ = page([system("a", 0.8, reference=True, intervals={"micro_f1": [0.62, 0.93]})])
    path = next(one for one in picture(html).all("path"))
    low, high = map(float, re.findall(r"M\S+ (\S+)V(\S+)", str(path["d"]))[0])
    level = float(str(picture(html).all("circle")[0]["cy"]))
    assert 30 <= high < level < low <= 330


# ---- Markdown ----------------------------------------------------------------------------------------


def test_the_markdown_table_is_whole():
    systems = [{**one, "unseen_text": {"rows": 3, "micro_f1": 0.5}} for one in SYSTEMS]
    systems[0] = {**systems[0], "name": "a|b", "unseen_text": {"rows": 0, "micro_f1": 0.0}}
    lines = render_markdown(systems, MACHINE, ["first", "second"]).splitlines()
    assert lines[:3] == ["- first", "- second", ""]
    table = [line for line in lines if line.startswith("|")]
    columns = [len(re.split(r"(?<!\\)\|", line)) for line in table]
    assert len(table) == 2 + len(SYSTEMS)
    assert len(set(columns)) == 1
    assert "a\\|b" in table[2]
    assert "–" in table[2]
    assert "0.5000" in table[3]
    assert "50 rows scored" in lines[-1]
    assert "to teacher" in lines[-1]


# ---- sections ----------------------------------------------------------------------------------------


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


def test_cases_are_escaped_and_marked_by_weight():
    row = Row("7", NASTY, "<i>node</i>\nan earlier turn")
    mistake = Mistake(0, "物流", None, "物流", 0.987)
    shown = {"mistake": mistake, "row": row, "parts": [(NASTY, 1.0), ("没", 0.01), ("<u>", -0.5)]}
    suspect = {"suspect": Suspect(0, "物流", ("物流",), (), 0.25, 0.9), "row": row, "text": "<s>"}
    html, parsed = page(cases=Cases("bigru-a", [shown], [suspect]), language="en", command="duobiao compare '<b>'")
    assert {tag for tag, _ in parsed.tags} & {"b", "i", "u", "s"} == set()
    assert '<span class="for" style="--a: 0.50">' in html
    assert '<span class="not" style="--a: 0.25">' in html
    assert "没" in parsed.text
    assert "<i>node</i>" in "".join(parsed.text)
    assert "earlier turn" not in html, "it is text of somebody's, which may have to be left out"
    assert "sureness 0.987" in html
    assert re.search(r'given <span class="tag">物流</span> probability 0\.250 · suggested', html), (
        "what it gives to the given answer"
    )
    assert "0.750" not in html
    assert "duobiao compare '<b>'" in parsed.text


def test_without_cases_their_sections_are_left_out():
    html, _ = page(language="en")
    assert TEXTS["en"]["suspects"] not in html
    html, _ = page(language="en", cases=Cases("bigru-a"))
    assert html.count(TEXTS["en"]["no_mistakes"]) == 2
