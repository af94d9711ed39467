"""What you learn here: what stays true between identifiers once all were replaced, and what nobody can join."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st
from irp_deid import ProjectSecret
from irp_deid.dates import shifted_date, shifted_datetime, valid_time
from irp_kernel import Uid

from .builders import KEY, another_key

texts = st.text(max_size=64)
days = st.dates(date(1900, 1, 1), date(2099, 12, 31))


def as_date(text: str) -> date:
    return date(int(text[:4]), int(text[4:6]), int(text[6:]))


@given(texts)
def test_the_same_patient_is_always_the_same_pseudonym_and_padding_changes_nothing(patient: str) -> None:
    assert KEY.pseudonym(patient) == KEY.pseudonym(f"  {patient} \x00")
    assert len(KEY.pseudonym(patient)) == 17


@given(texts, texts)
def test_different_patients_are_different_pseudonyms(one: str, other: str) -> None:
    if one.strip(" \x00\t\r\n") != other.strip(" \x00\t\r\n"):
        assert KEY.pseudonym(one) != KEY.pseudonym(other)


@given(texts)
def test_another_project_or_site_gives_everything_another_name(text: str) -> None:
    for stranger in (another_key(), ProjectSecret(bytes(range(32))).site_key("south")):
        assert stranger.pseudonym(text) != KEY.pseudonym(text)
        assert stranger.uid(text) != KEY.uid(text)
        assert stranger.fingerprint(text.encode()) != KEY.fingerprint(text.encode())


@given(texts)
def test_every_uid_becomes_a_valid_one_even_if_it_was_none(text: str) -> None:
    assert Uid(KEY.uid(text)).startswith("2.25.")
    assert KEY.uid(text) == KEY.uid(text + "\x00")


def test_a_uid_with_a_leading_zero_is_not_the_uid_without_it() -> None:
    assert KEY.uid("2.16.99.08975") != KEY.uid("2.16.99.8975")


@given(texts, days, days)
def test_intervals_between_a_patients_dates_are_kept(patient: str, one: date, other: date) -> None:
    offset = KEY.offset_days(patient)
    assert -3680 <= offset <= -30
    moved = [as_date(shifted_date(f"{d:%Y%m%d}", offset)) for d in (one, other)]
    assert moved[1] - moved[0] == other - one
    assert moved[0] == one + timedelta(days=offset)


@given(texts)
def test_what_is_no_date_or_time_becomes_empty_and_never_passes(text: str) -> None:
    moved = shifted_date(text, -100)
    assert moved == "" or as_date(moved)
    assert all(c in "0123456789:." for c in valid_time(text))
    shifted_datetime(text, -100)


def test_dates_that_real_files_hold() -> None:
    assert shifted_date("20120000", -1) == ""
    assert shifted_date("00000000", -1) == ""
    assert shifted_date("2012.03.01", -1) == "20120229"
    assert shifted_date("00010101", -1) == ""
    assert shifted_datetime("20120301101112.5+0100", -1) == "20120229101112.5+0100"
    assert shifted_datetime("201203", -1) == ""
    assert valid_time("081327.000000") == "081327.000000"
    assert valid_time("8 o'clock at Mrs Quixote's") == ""


def test_the_key_is_not_shown() -> None:
    assert KEY.key.hex() not in repr(KEY)
    assert repr(KEY.key) not in repr(KEY)
