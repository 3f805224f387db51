"""The frame that all pages share."""

import re
from pathlib import Path

import duobiao
from duobiao.page import render_page

VALUES = {"title": "<标题>", "language": "zh"}


def test_no_template_repeats_what_the_frame_says():
    root = Path(duobiao.__file__).parent
    frame = set((root / "page.html").read_text(encoding="utf-8").splitlines())
    templates = sorted(root.glob("*/templates/*.html"))
    assert len(templates) >= 2
    texts = {path: path.read_text(encoding="utf-8") for path in templates}
    taken = set(re.findall(r'{% (?:include|import|from) "([\w.]+)"', "".join(texts.values())))
    for path, text in texts.items():
        lines = text.splitlines()
        assert path.name in taken or lines[0] == '{% extends "page.html" %}', path  # a page, or a part of one
        assert [line for line in lines if line in frame and re.match(r"\S+ \{.*\}$|<", line)] == [], path


def test_a_page_is_one_file_with_its_title_escaped(tmp_path: Path, monkeypatch):
    (tmp_path / "templates").mkdir()
    text = (
        '{% extends "page.html" %}\n{% block style %}\np { color: red; }\n{% endblock %}\n'
        "{% block main %}\n<p>{{ one | twice }}</p>\n{% endblock %}\n"
    )
    (tmp_path / "templates" / "a.html").write_text(text, encoding="utf-8")
    (tmp_path / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path.parent)
    page = render_page(tmp_path.name, "a.html", {**VALUES, "one": "&"}, filters={"twice": lambda value: value * 2})
    assert page.startswith('<!doctype html>\n<html lang="zh">')
    assert page.count("&lt;标题&gt;") == 2
    assert "<p>&amp;&amp;</p>" in page
    assert page.index("box-sizing") < page.index("color: red") < page.index("</style>")
    assert not re.search(r"https?://|\ssrc=|<link", page)
