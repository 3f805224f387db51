import re
from typing import Any

import pytest
from report_pages import FREE, MACHINE, NASTY, SPACE, SYSTEMS, page, system

from duobiao.data.rows import Row
from duobiao.evaluate import advice
from duobiao.evaluate.cases import Cases
from duobiao.evaluate.mistakes import Mistake
from duobiao.evaluate.report import render_markdown
from duobiao.evaluate.suspects import Suspect
from duobiao.evaluate.wording import TEXTS


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


def gap(gain: float, bounds: tuple[float, float] | tuple[None, None], rows: tuple[int, int], p: float) -> dict[str, Any]:
    """What ``against`` tells of two systems."""
    low, high = bounds
    one = {"gain": gain, "low": low, "high": high, "told_apart": False}
    flips = {"only_ours": rows[0], "only_theirs": rows[1], "p": p, "test": "mcnemar"}
    return {**one, "macro_f1": {**one, "gain": gain - 0.02}, "flips": flips}


COMPARED = [
    {**SYSTEMS[0], "against": {"teacher": gap(-0.06, (-0.081, -0.039), (3, 17), 0.0025768)}},
    {**SYSTEMS[1], "against": {"linear": gap(0.06, (0.039, 0.081), (17, 3), 0.0025768)}},
    {**SYSTEMS[2], "against": {"teacher": gap(-0.013, (None, None), (5, 6), 1.0)}},
]


@pytest.mark.parametrize("language", ["zh", "en"])
def test_what_tells_the_others_from_the_best_has_a_table(language: Any):
    html, parsed = page(COMPARED, language=language)
    assert TEXTS[language]["against"].format(best="teacher") in parsed.text
    assert {"-6.0", "-8.0", "-8.1 … -3.9", "-1.3", "3", "17", "0.0026", "1"} <= set(parsed.text)
    assert "McNemar" in html
    html, _ = page(language=language)
    assert "McNemar" not in html, "systems that were not compared have no such table"


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


def test_markdown_tells_the_others_from_the_best():
    text = render_markdown([{**COMPARED[0], "name": "a|b"}, *COMPARED[1:]], MACHINE)
    assert "| a\\|b | -6.0 | -8.1 … -3.9 | -8.0 | -8.1 … -3.9 | 3 | 17 | 0.0026 |" in text
    assert "| bigru-a | -1.3 | - | -3.3 | - | 5 | 6 | 1 |" in text
    assert "| teacher | +6.0" not in text
    assert "McNemar's test, exact" in text.splitlines()[-1]
