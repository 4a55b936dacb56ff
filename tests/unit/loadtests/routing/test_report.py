"""What the routing benchmark says of its trials."""

from __future__ import annotations

import msgspec

from loadtests.routing.chats import Answer
from loadtests.routing.report import Trial, percentile, recalled, record, rows, table, verdicts


def trial(policy, ttft=1.0, hits=50.0, took=10.0, number=0):
    return Trial(policy, number, [Answer(0.0, ttft, took, 20, 100, 0)] * 4, hits, 100.0)


def test_a_row_is_over_all_rounds():
    row = rows([trial("a", hits=20.0), trial("b"), trial("a", hits=40.0, took=30.0, number=1)])["a"]
    assert (row.requests, row.hit_rate, list(row.hit_rates)) == (8, 0.3, [0.2, 0.4])
    assert (row.tokens_per_second, row.requests_per_second) == (4.0, 0.2)


def test_a_percentile_is_a_value_that_was_measured():
    values = [float(each) for each in range(1, 101)]
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile([7.0], 0.5)) == (50.0, 99.0, 7.0)


def test_the_goals_are_met_where_it_is_better_and_level():
    found = rows([trial("round_robin", ttft=2.0, hits=30.0), trial("prefix_affinity"), trial("peer", hits=51.0)])
    assert [met for met, _ in verdicts(found)] == [True] * 4


def test_a_goal_is_missed_where_one_figure_is_worse():
    found = rows([trial("round_robin", hits=60.0, took=9.0), trial("prefix_affinity"), trial("peer", ttft=0.5)])
    assert [met for met, _ in verdicts(found)] == [False] * 4


def test_without_the_policy_there_is_nothing_to_judge():
    assert verdicts(rows([trial("round_robin")])) == []


def test_the_table_has_a_line_for_every_policy():
    lines = table(rows([trial("a"), trial("b")]))
    assert lines[2:] == [
        "| a | 50.0% | 1.00 s | 1.00 s | 8.0 | 0.40 | 50% |",
        "| b | 50.0% | 1.00 s | 1.00 s | 8.0 | 0.40 | 50% |",
    ]


def test_a_record_can_be_gone_on_with():
    trials = [trial("a"), trial("b"), trial("a", number=1)]
    assert recalled(msgspec.json.encode(record(trials))) == trials
