"""The table of docs/evidence.md keeps what was played on earlier code."""

from pathlib import Path

from tests.chaos import table

OLD = ("order", "old promise", "faults", "1", "3:01 min", "lost 0", "yes", "2026-01-01, abc1234")
OTHER = ("kills", "a promise", "faults", "1", "1:00 min", "lost 0", "yes", "2026-01-02, abc1234")
NEW = ("kills", "a promise", "faults", "2", "2:00 min", "lost 0", "yes", "2026-02-01, def5678")


def test_a_campaign_that_was_not_played_keeps_its_row(tmp_path: Path) -> None:
    evidence = tmp_path / "evidence.md"
    table_before = table.render([OTHER, OLD], seed=1)
    evidence.write_text(f"<!-- generated: chaos -->\n{table_before}\n<!-- end generated -->\n")

    table.write(["order", "kills", "never played"], [NEW], 1, evidence)

    expected = table.render([OLD, NEW], seed=1)
    assert evidence.read_text() == (
        f"<!-- generated: chaos -->\n{expected}\n<!-- end generated -->\n"
    )
