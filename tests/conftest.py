"""Fixtures for every test that needs real processes: a worker, a gateway in front of it, official clients.

The processes live as long as a test module, because each start costs a second; `worker` makes the fake behave well
again before every test. A test that kills something, or needs two of it, uses `tests.processes` itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import openai
import pytest
from hypothesis import HealthCheck, settings

from tests import processes
from tests.processes import FakeWorker, Gateway, model

# No test asserts a time, and a property has none either: on a busy machine a first example may take seconds.
settings.register_profile("unhurried", deadline=None, suppress_health_check=(HealthCheck.too_slow,))
settings.load_profile("unhurried")


@pytest.fixture
def state_folder() -> Iterator[Path]:
    """An empty state folder."""
    with processes.short_folder() as folder:
        yield folder


@pytest.fixture
def free_port() -> int:
    return processes.free_port()


@pytest.fixture(scope="module")
def module_worker() -> Iterator[FakeWorker]:
    with processes.fake_worker() as started:
        yield started


@pytest.fixture(scope="module")
def module_gateway(module_worker: FakeWorker) -> Iterator[Gateway]:
    with processes.short_folder() as folder, processes.gateway(folder) as started:
        started.publish(model(module_worker))
        yield started


@pytest.fixture
def worker(module_worker: FakeWorker) -> FakeWorker:
    """A fake worker that behaves well until the test says otherwise."""
    module_worker.script()
    return module_worker


@pytest.fixture
def gateway(module_gateway: Gateway, worker: FakeWorker) -> Gateway:
    """A gateway that serves `small`, alias `default`, from `worker`."""
    module_gateway.publish(model(worker))
    return module_gateway


@pytest.fixture
def client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    """The official client, which neither retries nor hides anything."""
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=0, timeout=60) as opened:
        yield opened


@pytest.fixture
async def async_client(gateway: Gateway) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=0, timeout=60) as opened:
        yield opened


@pytest.fixture
def http(gateway: Gateway) -> httpx.Client:
    """Plain HTTP to the gateway."""
    return gateway.client
