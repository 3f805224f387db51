"""The picture is one sound file with every word in it."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from duobiao.errors import DataError
from duobiao.features.picture import render_svg, write_picture
from duobiao.features.words import Category, Term, Words

SVG = "{http://www.w3.org/2000/svg}"
WORDS = Words(
    {
        '退款<&">': Category(
            (Term("退<钱", 9, 1, {"log_odds": 4.0}), Term("加的"), Term("少", 3, 0, {"log_odds": 2.0})), 20, 30
        ),
        "很长很长很长很长很长很长很长很长很长很长的名字": Category((), 0, 50),
    },
    {"节点\x07": Category((Term("好", 2, 2, {"log_odds": -1.0}),), 5, 5)},
)


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_the_picture_is_xml_and_shows_words_with_their_support() -> None:
    svg = render_svg(WORDS, language="en")
    shown = texts(svg)
    for part in ('退款<&">', "退<钱", "9 / 1", "加的", "no word stands out", "好", "20 rows"):
        assert part in shown
    assert any(text.endswith("…") for text in shown)
    assert "http" not in svg.replace("http://www.w3.org/2000/svg", "")
    widths = [float(bar.attrib["width"]) for bar in ElementTree.fromstring(svg).iter(f"{SVG}rect") if bar.get("class") == "bar"]
    assert widths[0] == 2 * widths[2]
    assert min(widths) == 1.0


def test_only_the_top_words_are_drawn_and_headings_follow_the_language() -> None:
    assert "少" not in texts(render_svg(WORDS, top=2))
    assert "各标签的特征词" in texts(render_svg(WORDS))
    assert texts(render_svg(Words({}, {}))) == []


def test_the_ending_decides_the_form(tmp_path: Path) -> None:
    write_picture(WORDS, tmp_path / "a.svg")
    write_picture(WORDS, tmp_path / "a.html", language="en")
    assert (tmp_path / "a.svg").read_text(encoding="utf-8").startswith("<svg")
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "<svg" in page
    with pytest.raises(DataError, match=r"a\.png: pictures are drawn as SVG or HTML"):
        write_picture(WORDS, tmp_path / "a.png")
