"""Plain text tables."""

from datetime import UTC, datetime

from common.cli.text_table import render


def test_columns_are_aligned_under_their_header() -> None:
    assert render(("name", "what it does"), [("a", "first"), ("longer", "second one")]) == (
        "NAME    WHAT IT DOES\na       first\nlonger  second one"
    )


def test_numbers_stand_to_the_right() -> None:
    assert render(("name", "rows", "took"), [("a", 7, 0.5), ("b", 1234, 10.25)]) == (
        "NAME  ROWS   TOOK\na        7    0.5\nb     1234  10.25"
    )


def test_a_column_with_a_word_among_numbers_is_text() -> None:
    assert render(("n", "x"), [(1, "."), ("none", ".")]).splitlines()[1] == "1     ."


def test_without_rows_there_is_the_header() -> None:
    assert render(("id", "state"), []) == "ID  STATE"


def test_a_cell_cannot_leave_its_line_or_reach_the_terminal() -> None:
    text = render(("title",), [("a\nb",), ("\x1b[2Jc",), ("tab\there",), ("Käse 🍞",)])
    assert text.splitlines() == ["TITLE", "a\\nb", "\\x1b[2Jc", "tab\\there", "Käse 🍞"]


def test_any_value_is_shown_as_text() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert render(("when", "none"), [(moment, None)]).splitlines() == [
        "WHEN                       NONE",
        "2026-01-02 03:04:05+00:00  None",
    ]


def test_lines_have_no_blanks_at_their_end() -> None:
    for line in render(("a", "bbbbbb"), [("x", ""), ("y", "z")]).splitlines():
        assert line == line.rstrip()
