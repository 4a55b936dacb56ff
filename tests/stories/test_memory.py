"""What cannot fit is never started, and what is started is measured: a supervisor over real processes."""

from __future__ import annotations

from pathlib import Path

import httpx

from engines.supervisor.memory import read
from tests.stories.house import answered, house, registry
from tests.unit.engines.memory.models import write
from tests.waiting import PATIENCE, eventually

BEYOND_ANY_MACHINE = 90_000_000
"""Tokens; two terabytes of KV cache."""


async def test_a_model_that_cannot_fit_waits_with_its_reason_while_another_serves(tmp_path: Path) -> None:
    """No worker, no crash loop: the supervisor says why, and so does the answer to a client."""
    write(tmp_path / "weights", a=("BF16", [1000], 2000))
    async with house(registry(tmp_path, huge={"context": BEYOND_ANY_MACHINE}, m={"context": 64})) as running:
        await running.ready("m")
        await answered(running, "m")
        failed = await eventually(lambda: running.said("ModelFailed"))
        async with httpx.AsyncClient(base_url=running.url, trust_env=False, timeout=PATIENCE) as http:
            answer = await http.post("/v1/completions", json={"model": "huge", "prompt": "x"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "model_loading")
        # What is announced and what is published come by two ways.
        await eventually(lambda: "not enough memory" in running.model("huge").loading.reason, what="the reason")
        assert (running.model("huge").workers, running.said("WorkerLost")) == ((), [])
    assert "it would fit with context: " in failed[0]["reason"]


async def test_what_a_worker_took_is_remembered(tmp_path: Path) -> None:
    """Measured over its whole session once it has made a token; the fake engine is a small process."""
    write(tmp_path / "weights", a=("BF16", [1000], 2000))
    async with house(registry(tmp_path, m={"context": 64})) as running:
        await running.ready("m")
        kept = await eventually(lambda: read(running.state / "memory.json"))
    (measure,) = kept.values()
    assert list(kept) == ["m vllm none cpu"]
    assert 10_000_000 < measure.measured < measure.predicted
