"""UTF-8 with or without a byte-order mark and GB18030 are read; a damaged file never turns into wrong characters."""

from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from duobiao.data.files import decode
from duobiao.data.read import read_rows
from duobiao.errors import DataError

QUICK = settings(deadline=None, max_examples=80)
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")).filter(
    lambda text: not text.startswith("\ufeff")
)
COMMON = [bytes([high, low]).decode("gb18030") for high in range(0xB0, 0xD7) for low in range(0xA1, 0xFF)]
LINE = st.text(st.sampled_from(COMMON), min_size=8, max_size=30)
DOCUMENT = st.lists(LINE, min_size=1, max_size=6)


def is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


@QUICK
@given(ANY_TEXT)
def test_utf8_comes_back_with_and_without_mark(text: str):
    assert decode(text.encode("utf-8"), "f") == text
    assert decode(text.encode("utf-8-sig"), "f") == text


@settings(QUICK, derandomize=True)  # now and then a handful of random characters looks like damaged UTF-8
@given(st.lists(st.text(st.sampled_from([*COMMON, *"，。？！0123456789 abc€🙂㐂"]), min_size=2), min_size=1))
def test_gb18030_comes_back(lines: list[str]):
    text = "\n".join(lines)
    data = text.encode("gb18030")
    assume(not is_utf8(data))  # some byte sequences are both; UTF-8 goes first
    assert decode(data, "f") == text


def test_a_table_from_a_chinese_office_program_is_read(tmp_path: Path):
    (tmp_path / "a.csv").write_bytes("text,labels\r\n快递还没到,物流\r\n".encode("gbk"))
    row = read_rows(tmp_path / "a.csv")[0]
    assert (row.text, row.labels) == ("快递还没到", ("物流",))


def test_short_lines_of_gb18030_that_look_like_utf8_do_not_spoil_the_file():
    text = "么\n路\n么\n好的\n路\n可以的"
    assert is_utf8("么路".encode("gb18030"))
    assert decode(text.encode("gb18030"), "f") == text


def test_damaged_text_of_another_language_is_not_read_as_gb18030():
    damaged = "Café au lait, déjà vu, très bien".encode() + " caf\xe9s".encode("latin-1")
    assert damaged.decode("gb18030").startswith("Caf茅 au lait")
    with pytest.raises(DataError, match="f: line 1"):
        decode(damaged, "f")


@QUICK
@given(lines=DOCUMENT, data=st.data(), mark=st.booleans())
def test_utf8_with_one_damaged_byte_is_refused_with_its_line(lines: list[str], data: st.DataObject, mark: bool):
    raw = bytearray("\n".join(["text", *lines]).encode("utf-8"))
    places = [n for n, byte in enumerate(raw) if byte >= 0x80]
    place = data.draw(st.sampled_from(places))
    raw[place] = data.draw(st.integers(0x80, 0xFF).filter(lambda byte: byte != raw[place]))
    assume(not is_utf8(bytes(raw)))
    line = bytes(raw[:place]).count(b"\n") + 1
    with pytest.raises(DataError, match="damaged encoding") as caught:
        decode(b"\xef\xbb\xbf" * mark + bytes(raw), "f.csv")
    assert caught.value.problems == (f"f.csv: line {line}: bytes are neither UTF-8 nor GB18030",)
    assert "save the file as UTF-8" in caught.value.hint


@pytest.mark.parametrize(("text", "place", "byte"), [("我的快递还没有到", 10, 0xC3), ("东西坏了要求赔偿", 0, 0xBF)])
def test_a_file_of_one_damaged_line_is_not_read_as_gb18030(tmp_path: Path, text: str, place: int, byte: int):
    damaged = bytearray(text.encode())
    damaged[place] = byte
    assert len(damaged.decode("gb18030")) == 12  # it would go: 鎴戠殑蹇...
    (tmp_path / "a.csv").write_bytes(b"text\n" + damaged)
    (tmp_path / "a.json").write_bytes(b'[{"text": "' + damaged + b'"}]')
    for name, line in (("a.csv", 2), ("a.json", 1)):
        with pytest.raises(DataError, match=f"{name}: line {line}: bytes are neither"):
            read_rows(tmp_path / name)


def test_gb18030_with_a_damaged_line_is_refused_with_its_number():
    lines = [f"第{n}行的内容是这样的".encode("gb18030") for n in range(6)]
    lines[3] = lines[3] + b"\xff"
    with pytest.raises(DataError) as caught:
        decode(b"\n".join(lines), "f.csv")
    assert caught.value.problems == ("f.csv: line 4: bytes are neither UTF-8 nor GB18030",)


def test_every_damaged_line_is_named():
    lines = [f"第{n}行的内容是这样的".encode() for n in range(9)]
    for number in (1, 5, 7):
        lines[number] = lines[number][:-1]
    with pytest.raises(DataError) as caught:
        decode(b"\n".join(lines), "f.csv")
    assert [problem.split(":")[1] for problem in caught.value.problems] == [" line 2", " line 6", " line 8"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_utf16_is_refused_with_the_cure(encoding: str, tmp_path: Path):
    (tmp_path / "a.csv").write_bytes("text,labels\n你好,物流\n".encode(encoding))
    with pytest.raises(DataError, match="UTF-16") as caught:
        read_rows(tmp_path / "a.csv")
    assert "a.csv" in str(caught.value)
    assert caught.value.hint == "save it as UTF-8"


def test_a_program_file_under_a_wrong_ending_is_refused(tmp_path: Path):
    (tmp_path / "a.csv").write_bytes(b"PK\x03\x04\x14\x00\x00\x00text,labels\n")
    with pytest.raises(DataError, match="UTF-16, or no text"):
        read_rows(tmp_path / "a.csv")
