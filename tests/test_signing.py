import string

from hypothesis import given
from hypothesis import strategies as st

from pipeline.signing import sign, verify

KEY = b"k" * 32
SAFE = set(string.ascii_letters + string.digits + "-_.")


@given(st.text())
def test_what_was_signed_comes_back_in_letters_that_fit_addresses_and_cookies(text: str) -> None:
    try:
        signed = sign(KEY, "pair", text)
    except UnicodeEncodeError:  # half of a surrogate pair is no text
        return
    assert set(signed) <= SAFE
    assert verify(KEY, "pair", signed) == text
    assert verify(KEY, "labeler", signed) is None
    assert verify(b"q" * 32, "pair", signed) is None


@given(st.text())
def test_nothing_else_verifies(text: str) -> None:
    assert verify(KEY, "pair", text) is None


def test_one_changed_letter_spoils_it() -> None:
    signed = sign(KEY, "pair", "left right")
    for place, letter in enumerate(signed):
        spoiled = signed[:place] + ("A" if letter != "A" else "B") + signed[place + 1 :]
        assert verify(KEY, "pair", spoiled) is None
