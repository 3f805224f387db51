import pytest

from duobiao.data.personal import is_id_card, is_luhn

BODY = "11010119900101" + "123"  # nobody's


def checked(body: str) -> str:
    """The body with its check digit, worked out from the definition: the sum over 2**(17 - place) is 1 modulo 11."""
    for digit in "0123456789X":
        values = [10 if sign == "X" else int(sign) for sign in body + digit]
        if sum(value * 2 ** (17 - place) for place, value in enumerate(values)) % 11 == 1:
            return body + digit
    raise AssertionError


def test_only_one_check_digit_fits_an_id_card():
    right = checked(BODY)
    assert [digit for digit in "0123456789X" if is_id_card(BODY + digit)] == [right[-1]]


def test_the_letter_of_an_id_card_may_be_small():
    body = next(
        f"{11010119900101000 + number}" for number in range(1000) if checked(f"{11010119900101000 + number}")[-1] == "X"
    )
    assert is_id_card(body + "x")
    assert is_id_card(body + "X")


@pytest.mark.parametrize("value", ["", BODY, BODY + "12", BODY + "Y", "１" * 18])
def test_what_is_no_id_card_is_refused(value: str):
    assert not is_id_card(value)


def test_luhn_finds_every_wrong_digit():
    right = "4539" + "1488" + "0343" + "6467"  # the standard's usual example
    assert is_luhn(right)
    for place, digit in enumerate(right):
        assert not is_luhn(right[:place] + str((int(digit) + 1) % 10) + right[place + 1 :])
