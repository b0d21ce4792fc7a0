"""What a study says before it trains."""

from study.dry_run import duration, epochs_in


def test_time_spans_read_well() -> None:
    assert [duration(s) for s in (5, 89, 120, 7200)] == ["5 s", "89 s", "2 min", "2.0 h"]


def test_a_budget_of_minutes_holds_whole_epochs() -> None:
    assert epochs_in(2, {"baseline": 50, "slow": 61, "too slow": 500}) == {"baseline": 2, "slow": 1, "too slow": 1}
