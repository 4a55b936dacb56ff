"""What a run of the benchmark says."""

from __future__ import annotations

from loadtests.adapters.asking import Answer
from loadtests.adapters.report import Trial, record, rows, table, verdicts


def trial(placement: str, *ttft: float, loads: int = 1, **fields: object) -> Trial:
    """A turn whose answers took so long to begin."""
    return Trial(placement, 0, loads, 0, [Answer("moon", each, each + 1, **fields) for each in ttft])


def test_a_row_is_all_of_a_placements_rounds():
    """Loads are counted over requests, times over answers."""
    (row,) = rows([trial("enginehouse", 1.0, 2.0, loads=3), trial("enginehouse", 3.0, 4.0, loads=1)])
    assert [row.requests, row.loads_per_hundred, row.ttft_p50, row.ttft_p99, row.worst] == [4, 100.0, 2.0, 4.0, 4.0]


def test_what_failed_is_counted_and_not_timed():
    """A request that is refused at once is no fast one."""
    failed = Trial("enginehouse", 0, 0, 0, [Answer("moon", 0.0, 0.1, error="503"), Answer("moon", 2.0, 3.0)])
    (row,) = rows([failed])
    assert [row.requests, row.failed, row.ttft_p50] == [2, 1, 2.0]


def test_a_wrong_answer_misses_the_goal():
    """Another adapter's word in it is the worst that can happen."""
    goals = verdicts(rows([trial("enginehouse", 1.0, wrong=True), trial("round robin", 2.0)]))
    assert [met for met, _ in goals] == [False, True, True]


def test_a_longer_wait_than_another_placements_misses_the_goal():
    """That is what it is for."""
    goals = verdicts(rows([trial("enginehouse", 3.0), trial("round robin", 2.0)]))
    assert [met for met, _ in goals] == [True, True, False]


def test_the_table_and_the_record_have_every_placement():
    """For people and for programs."""
    trials = [trial("enginehouse", 1.0), trial("round robin", 2.0)]
    assert len(table(rows(trials))) == 4
    assert [each["placement"] for each in record(trials)["placements"]] == ["enginehouse", "round robin"]
