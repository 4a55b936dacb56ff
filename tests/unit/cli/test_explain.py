"""What `enginehouse explain` draws of a gateway's answer, and where it looks when there is none."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from cli.__main__ import main
from cli.explain import WIDTH, bar, found_in, logs_of, tries, view
from registry.snapshot import Snapshot

TOLD = {
    "request_id": "req_[red]1",
    "same_id": 2,
    "began": 1e9,
    "client": "127.0.0.1",
    "operation": "chat",
    "stream": True,
    "target": {"requested": "default", "model": "m", "served_name": "llm", "engine": "vllm"},
    "status": 200,
    "error": None,
    "ended_by": "complete",
    "retries": 1,
    "resumes": 0,
    "usage": {"prompt": 3, "completion": 2},
    "microseconds": {"total": 10_000},
    "timeline": [
        {"phase": "failed", "attempt": 1, "at": 0, "length": 2_500},
        {"phase": "first_token", "attempt": 2, "at": 2_500, "length": 7_500},
    ],
    "attempts": [
        {
            "attempt": 1,
            "worker": "m-0-1",
            "continues": False,
            "reason": "the least loaded",
            "cached_blocks": "2 of 5",
            "among": 12,
            "candidates": [{"worker": "m-0-1", "load": 1.0}, {"worker": "m-1-1", "load": 2.5}],
            "error": "worker_failed",
            "message": "It broke off: [/red].",
        }
    ],
}


def shown(**changed):
    console = Console(file=io.StringIO(), width=160)
    console.print(view(TOLD | changed))
    return console.file.getvalue()


def test_it_says_what_it_was_and_how_it_ended():
    """Names that clients choose are text, no markup."""
    text = shown()
    assert "req_[red]1 (chat, streamed)" in text
    assert "'default' → m (served as llm, vllm)" in text
    assert "complete, 200" in text
    assert "2 requests had this id" in text


def test_it_says_why_a_worker_was_chosen_and_how_it_failed():
    text = shown()
    assert "the least loaded (2 of 5 blocks cached)" in text
    assert "m-0-1 (1), m-1-1 (2.5) and 10 more" in text
    assert "worker_failed: It broke off: [/red]." in text


def test_the_waterfall_has_a_bar_a_stretch():
    lines = shown().splitlines()
    assert next(line for line in lines if line.startswith("failed")).split() == ["failed", "1", "2.5", "ms", "█" * 10]
    assert any(line.startswith("total") and "10.0 ms" in line for line in lines)


def test_a_request_that_no_worker_had():
    unknown = {"requested": "gpt-9", "model": None, "served_name": None, "engine": None}
    text = shown(target=unknown, attempts=[], usage=None, ended_by=None, status=None)
    assert "'gpt-9': unknown" in text
    assert "still running" in text
    assert "ATTEMPT  WORKER" not in text


@given(st.integers(0, 10**9), st.integers(1, 10**9), st.integers(0, 10**9))
def test_a_bar_can_be_seen_and_stays_in_its_width(at, length, rest):
    drawn = bar(at, length, at + length + rest)
    assert "█" in drawn
    assert len(drawn) <= WIDTH


def test_the_logs_remember_longer(tmp_path):
    """Its own line, not one that only mentions the id."""
    log = tmp_path / "gateway-0.log"
    line = "POST /v1/chat/completions 200 ms=1.0 id=req_1 client=127.0.0.1 model=m worker=w attempts=1"
    log.write_text(f"{line}\nGET /admin/requests/req_1 404 ms=1.0 id=req_2 client=127.0.0.1\n")
    assert list(found_in([log], "req_1")) == [f"gateway-0.log: {line}"]
    assert list(found_in([log], "req")) == [f"gateway-0.log: {line}"]
    assert list(found_in([log], "eq_1")) == []


@pytest.mark.parametrize(("house", "connections"), [(None, 1), (Snapshot(1), 1), (Snapshot(1, gateways=4), 64)])
def test_a_house_is_asked_as_often_as_it_has_gateways(house, connections):
    """As it says itself: logs stay behind when it has fewer of them than before."""
    assert tries(house) == connections


def test_a_gateway_that_is_named_is_not_looked_up_in_the_logs_of_another(tmp_path):
    """The state folder of this place has nothing to do with it."""
    log = tmp_path / "logs/gateway-0.log"
    log.parent.mkdir()
    log.touch()
    assert logs_of(tmp_path, None) == [log]
    assert logs_of(tmp_path, "http://elsewhere") == []


@pytest.mark.parametrize("words", [["--state", "."], ["--url", "http://127.0.0.1:9"], ["--url", "nonsense"]])
def test_nobody_there_is_one_line(words, tmp_path, capsys):
    """Exit code 1, no traceback."""
    words = ["--state", str(tmp_path)] if words[0] == "--state" else words
    assert main(["explain", "req_1", *words]) == 1
    assert capsys.readouterr().err.startswith("enginehouse: not running")
