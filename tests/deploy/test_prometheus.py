"""A real Prometheus scrapes a real gateway, and every query of the dashboard has an answer."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import yaml

from tests import processes
from tests.processes import FakeWorker, Gateway, model
from tests.waiting import until

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
KEYS = {"ENGINEHOUSE_API_KEY": "api-key", "ENGINEHOUSE_ADMIN_KEY": "admin-key"}
LIMIT = 180.0
"""Seconds; it takes ten on a quiet machine."""

pytestmark = [
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="Debian's package prometheus is not installed"),
    pytest.mark.timeout(600),
]


@contextmanager
def prometheus(folder: Path, target: int) -> Iterator[httpx.Client]:
    """Prometheus with our configuration, but for the addresses and for how often it looks."""
    configuration = yaml.safe_load((DEPLOY / "prometheus/prometheus.yaml").read_text())
    configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    configuration["rule_files"] = [str(DEPLOY / "prometheus/alerts.yaml")]
    (folder / "key").write_text("api-key\n")
    configuration["scrape_configs"][0]["authorization"]["credentials_file"] = str(folder / "key")
    configuration["scrape_configs"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{target}"]}]
    (folder / "prometheus.yaml").write_text(json.dumps(configuration))
    port = processes.free_port()
    words = [
        "prometheus", f"--config.file={folder}/prometheus.yaml", f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
    ]  # fmt: skip
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=processes.READY, trust_env=False)
    with processes.running(subprocess.Popen(words, cwd=folder)), client:
        until(lambda: answers(client, "/-/ready"), within=LIMIT, what="Prometheus")
        yield client


def answers(client: httpx.Client, path: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return client.get(path).status_code == 200
    return False


def use(gateway: Gateway, first: FakeWorker, second: FakeWorker) -> None:
    """Streams, a refusal, a worker that is busy, and one that breaks off in the middle of a stream."""
    gateway.publish()  # what the gateway holds against a worker goes with the worker
    gateway.publish(model(first, second))
    second.script()
    for fault in ({}, {"truncate_at": 5}, {"status": 503}):
        first.script(**fault)
        for stream in (True, False):
            ask(gateway, stream=stream)
    ask(gateway, n=99)


def ask(gateway: Gateway, **fields: object) -> None:
    body = {"model": "small", "messages": [{"role": "user", "content": "hi"}], "temperature": 0, **fields}
    gateway.client.post("/v1/chat/completions", json=body, headers={"authorization": "Bearer api-key"})


def silent(client: httpx.Client) -> list[str]:
    """The dashboard's queries that have no answer yet, or no activity where they count it."""
    panels = json.loads((DEPLOY / "grafana/dashboards/enginehouse.json").read_text())["panels"]
    queries = [target["expr"] for panel in panels for target in panel["targets"]]
    return [query for query in queries if not told(client, query)]


def told(client: httpx.Client, query: str) -> bool:
    """Grafana puts the variables in before it asks, and so do we."""
    asked = query.replace("$__rate_interval", "60s").replace("$model", ".*")
    answer = client.get("/api/v1/query", params={"query": asked})
    assert answer.status_code == 200, (asked, answer.text)
    values = [float(each["value"][1]) for each in answer.json()["data"]["result"]]
    return any(value > 0 if "rate(" in asked else math.isfinite(value) for value in values)


def alerts(client: httpx.Client) -> set[str]:
    """How their evaluation went."""
    groups = client.get("/api/v1/rules").json()["data"]["groups"]
    return {rule["health"] for group in groups for rule in group["rules"]}


def test_every_query_of_the_dashboard_has_an_answer(tmp_path: Path):
    """And every alert is evaluated without a fault."""
    with (
        processes.short_folder() as folder,
        processes.fake_worker() as first,
        processes.fake_worker() as second,
        processes.gateway(folder, env=KEYS) as gateway,
        prometheus(tmp_path, gateway.port) as client,
    ):

        def unanswered() -> list[str]:
            use(gateway, first, second)
            return silent(client)

        until(lambda: not unanswered(), within=LIMIT, every=0.5, what="the dashboard's queries")
        until(lambda: alerts(client) == {"ok"}, within=LIMIT, every=0.5, what="the alerts to be evaluated")
