import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from doctor_rows import dataset

from duobiao.doctor.check import Report, check
from duobiao.doctor.findings import Example, Finding, ordered
from duobiao.doctor.report import render_html
from duobiao.doctor.wording import TEXTS, WORDS, percent, worded

VALUES = {
    "limit": 10,
    "names": [("phone", 3)],
    "simplified": 1,
    "both": 1,
    "kinds": 2,
    "tokens": 3,
    "max_length": 128,
    "enough": 256,
    "exact": True,
    "labels": "A, B",
    "texts": 4,
}


def report(*findings: Finding) -> Report:
    lengths = {"data": {"rows": 4, "median": 3.5, "max": 700, "longer": {"64": 2, "128": 1, "256": 1, "512": 1}}}
    files = {"data": {"path": "a <b>.jsonl", "rows": 4}}
    return Report(files, findings, lengths, False, {"<标签>": {"data": 3}}, [("unknown", "no_model")], "duobiao check 'a <b>'")


class Elements(HTMLParser):
    """Checks that what is opened is closed, and collects what the page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [value for name, value in attrs if name in ("src", "href") and value and not value.startswith("#")]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_kind_of_finding_is_worded_in_both_languages(language: str):
    for kind in WORDS["zh"]:
        said = worded(Finding(kind, "note", 3, 10, "rows", {"test": 3}, VALUES), language, "duobiao check")
        assert all(said[part] for part in ("title", "reason", "remedy", "amount")), kind
        assert not re.search(r"\{\w+\}", " ".join(said.values())), kind
    assert WORDS["zh"].keys() == WORDS["en"].keys()
    assert TEXTS["zh"].keys() == TEXTS["en"].keys()


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_page_is_whole_escaped_and_fetches_nothing(language: str):
    finding = Finding("leaks", "error", 1, 4, examples=[Example("a.jsonl:1", "<script>x</script>", "= b & c")])
    page = render_html(report(finding), language)  # type: ignore[arg-type]
    elements = Elements()
    elements.feed(page)
    assert elements.open == []
    assert elements.fetched == []
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "a &lt;b&gt;.jsonl" in page
    assert "&lt;标签&gt;" in page
    assert "@import" not in page
    assert "url(" not in page
    assert f'lang="{language}"' in page
    assert "prefers-color-scheme: dark" in page


def test_the_page_says_what_was_found_and_what_was_not_looked_at():
    page = render_html(report(Finding("empty", "error", 1, 4)), "en")
    assert "1 errors, 0 warnings, 0 notes" in page
    assert "1 row (25 %)" in page
    assert "--fix OUT --fix-only empty" in page
    assert TEXTS["en"]["reasons"]["no_model"] in page
    assert TEXTS["en"]["estimated"] in page
    assert "50 %" in page  # of the rows are longer than 64
    assert TEXTS["en"]["clean"] in render_html(report(), "en")


def test_findings_come_by_severity_and_then_by_share():
    findings = [
        Finding("a", "note", 9, 10),
        Finding("b", "error", 1, 10),
        Finding("c", "warning", 2, 10),
        Finding("d", "error", 2, 10),
    ]
    assert [finding.kind for finding in ordered(findings)] == ["d", "b", "c", "a"]


@pytest.mark.parametrize(("share", "text"), [(0, "0.0 %"), (0.00001, "< 0.1 %"), (0.012, "1.2 %"), (0.5, "50 %"), (1, "100 %")])
def test_shares_are_rounded_for_people_and_never_to_nothing(share: float, text: str):
    assert percent(share) == text


def test_both_files_problems_become_one_finding(tmp_path: Path):
    for name in ("train", "test"):
        (tmp_path / f"{name}.jsonl").write_text('{"text": "一", "labels": ["A"]}\nx\n', encoding="utf-8")
    found = check({name: tmp_path / f"{name}.jsonl" for name in ("train", "test")})
    (unreadable,) = [finding for finding in found.findings if finding.kind == "unreadable"]
    assert (unreadable.count, unreadable.total, unreadable.splits) == (2, 4, {"train": 1, "test": 1})
    assert [example.where for example in unreadable.examples] == [f"{tmp_path / name}.jsonl:2" for name in ("train", "test")]


def test_a_data_set_infers_its_labels():
    assert dataset(["一"]).labels is not None
    assert dataset([("一", [])]).labels is None
