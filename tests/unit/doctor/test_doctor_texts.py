import builtins

import pytest
from doctor_rows import by_kind, dataset, places

from duobiao.data.rows import Row
from duobiao.doctor.findings import EXAMPLES, shown, spread
from duobiao.doctor.texts import check_scripts, check_texts, language

PHONE = "138" + "0000" + "0000"


def test_sound_texts_give_no_finding():
    assert check_texts(dataset(["快递还没有到", "东西坏了，怎么换？", "OK 好的", "VIP会员怎么办理"])) == []


def test_each_kind_of_bad_text_is_found_where_it_is():
    texts = [
        "好的呀",
        "",
        " \u200b\n",
        "好",
        "123",
        "字" * 1001,
        "看\u200b不见",
        "Where is my parcel?",
        "坏\ufffd字",
        f"打{PHONE}",
    ]
    found = by_kind(check_texts(dataset(texts)))
    lines = {kind: [int(place.split(":")[1]) for place in places(finding)] for kind, finding in found.items()}
    assert lines == {
        "empty": [2, 3],
        "single": [4],
        "wordless": [5],
        "long": [6],
        "invisible": [3, 7],
        "foreign": [8],
        "damage": [9],
        "personal": [10],
    }
    assert found["empty"].severity == "error"
    assert (found["empty"].count, found["empty"].total) == (2, 10)
    assert found["personal"].values["names"] == [("phone", 1)]
    assert found["damage"].values["names"] == [("replacement character U+FFFD", 1)]
    assert "U+200B" in found["invisible"].examples[1].note


def test_one_character_that_answers_a_question_is_fine():
    answer = Row(id="1", text="好", labels=("A",), context="是否方便")
    assert "single" not in by_kind(check_texts(dataset([answer])))


def test_examples_never_show_personal_data():
    texts = [f"请打{PHONE}", "字" * 600 + f"电话{PHONE}再见", f"\u200b我的电话{PHONE}"]
    for finding in check_texts(dataset(texts)):
        assert finding.examples
        assert all(PHONE not in example.text and "0000" not in example.text for example in finding.examples)
    personal = by_kind(check_texts(dataset(texts)))["personal"]
    assert all("[电话]" in example.text for example in personal.examples)  # cut around it, however long the text


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("我要退货", None),
        ("123456", None),
        ("😂😂", None),
        ("OK", None),
        ("iPhone 15 Pro Max 坏了怎么办", None),
        ("鲜の每日牛奶很好喝", None),
        ("Please help me with this order", "Latin"),
        ("商品はまだ届いていません", "Japanese"),
        ("배송이 늦어요", "Korean"),
        ("где мой заказ", "Cyrillic"),
    ],
)
def test_the_script_of_a_text(text: str, script: str | None):
    assert language(text) == script


def test_traditional_characters_are_found_and_shared_ones_are_not():
    pytest.importorskip("opencc")
    rows = ["皇后在里面干活，著名", "請問貨到了沒有", "快递到了没有", "快递到了沒有"]
    (found,) = check_scripts(dataset(rows))
    assert [place.split(":")[1] for place in places(found)] == ["2", "4"]
    assert found.severity == "warning"
    assert (found.values["simplified"], found.values["both"]) == (2, 1)
    assert found.examples[0].note == "請問貨沒"
    assert dict(found.values["names"])["沒"] == 2
    assert check_scripts(dataset(["快递到了没有"])) == []


def test_traditional_text_alone_is_worth_a_note_only():
    pytest.importorskip("opencc")
    assert check_scripts(dataset(["請問貨到了沒有"]))[0].severity == "note"


def test_without_opencc_the_check_says_so(monkeypatch: pytest.MonkeyPatch):
    real = builtins.__import__

    def absent(name: str, *rest: object) -> object:
        if name == "opencc":
            raise ImportError(name)
        return real(name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ImportError):
        check_scripts(dataset(["請問貨到了沒有"]))


def test_shown_texts_are_one_short_line():
    assert shown("一\n二\u200b") == "一 二<U+200B>"
    assert len(shown("字" * 500)) == 120
    assert shown("字" * 500 + "尾", focus=500).endswith("尾")
    assert shown("字" * 500 + "尾", focus=500).startswith("…")


def test_examples_are_spread_over_all_places():
    assert spread(range(3)) == [0, 1, 2]
    assert spread(range(101)) == [0, 25, 50, 75, 100]
    assert len(spread(range(1000))) == EXAMPLES
