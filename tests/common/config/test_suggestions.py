"""Which name was meant."""

import pytest

from common.config.suggestions import nearest

SERVICES = ("blog", "foodfolio", "link", "notification", "webhook")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("link", "link"),
        ("LINK", "link"),
        ("lnk", "link"),  # missing
        ("linkk", "link"),  # added
        ("lind", "link"),  # wrong
        ("lnik", "link"),  # swapped
        ("nitofication", "notification"),  # two wrong
        ("wbehokok", "webhook"),  # one swapped, one swapped and added
        ("kiln", None),
        ("notify", None),
        ("", None),
    ],
)
def test_the_name_within_two_slips_is_found(name: str, meant: str | None) -> None:
    assert nearest(name, SERVICES, slips=2) == meant


def test_swapped_neighbours_are_one_slip() -> None:
    assert nearest("lnik", SERVICES, slips=1) == "link"
    assert nearest("lkin", SERVICES, slips=1) is None


def test_the_nearest_wins_and_a_tie_goes_to_the_first_by_name() -> None:
    assert nearest("tests", ("toast", "test"), slips=2) == "test"
    assert nearest("bat", ("cat", "bar"), slips=2) == "bar"


def test_among_no_names_there_is_no_nearest() -> None:
    assert nearest("link", (), slips=2) is None
