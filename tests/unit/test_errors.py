from duobiao.errors import SHOWN_PROBLEMS, BundleError, ConfigError, DataError, DuobiaoError, LabelSpaceError, MissingExtraError


def test_message_says_what_where_and_what_to_do():
    error = DataError("f.csv: 2 problems", hint="correct the file", problems=["f.csv: row 2: a", "f.csv: row 9: b"])
    assert str(error).splitlines() == [
        "f.csv: 2 problems",
        "  - f.csv: row 2: a",
        "  - f.csv: row 9: b",
        "  What to do: correct the file",
    ]
    assert error.problems == ("f.csv: row 2: a", "f.csv: row 9: b")


def test_without_hint_and_problems_the_message_stands_alone():
    assert str(DuobiaoError("broken")) == "broken"


def test_a_flood_of_problems_is_kept_whole_but_shown_in_part():
    error = DataError("many", problems=[f"row {n}: bad" for n in range(SHOWN_PROBLEMS + 7)])
    shown = [line for line in str(error).splitlines() if line.startswith("  - ")]
    assert len(shown) == SHOWN_PROBLEMS
    assert "... and 7 more" in str(error)
    assert len(error.problems) == SHOWN_PROBLEMS + 7


def test_exactly_as_many_problems_as_are_shown_promise_no_more():
    assert "more" not in str(DataError("many", problems=["p"] * SHOWN_PROBLEMS))


def test_missing_package_gives_the_pip_line():
    error = MissingExtraError("pyarrow", "tables")
    assert "'pyarrow'" in str(error)
    assert 'pip install "duobiao[tables]"' in str(error)


def test_one_base_class_catches_all():
    for child in (DataError, LabelSpaceError, ConfigError, BundleError, MissingExtraError):
        assert issubclass(child, DuobiaoError)
