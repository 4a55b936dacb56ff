"""Keys as the official clients send them: `Authorization: Bearer` and `x-api-key`."""

from __future__ import annotations

from collections.abc import Iterator

import anthropic
import openai
import pytest

from tests import processes
from tests.faults.client import ask, get, head
from tests.processes import FakeWorker, Gateway, model

KEYS = {"ENGINEHOUSE_API_KEY": "api-key, second-key", "ENGINEHOUSE_ADMIN_KEY": "admin-key"}
ASK = {"model": "small", "messages": [{"role": "user", "content": "hi"}]}
OPEN_ROUTES = {"/livez"}


@pytest.fixture(scope="module")
def locked(module_worker: FakeWorker) -> Iterator[Gateway]:
    """A gateway that asks for keys."""
    with processes.short_folder() as folder, processes.gateway(folder, env=KEYS) as started:
        started.publish(model(module_worker))
        yield started


def openai_client(locked: Gateway, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{locked.url}/v1", api_key=key, max_retries=0)


@pytest.mark.parametrize("key", ["api-key", "second-key", "admin-key"])
def test_each_listed_key_opens_the_models(locked: Gateway, key: str):
    """A list of keys, separated by commas; an admin key may use the models too."""
    with openai_client(locked, key) as client:
        assert client.chat.completions.create(**ASK).choices


@pytest.mark.parametrize("key", ["wrong", "api-key,", "api-key, second-key", "API-KEY"])
def test_any_other_key_is_an_authentication_error(locked: Gateway, key: str):
    """`openai.AuthenticationError` with OpenAI's own code."""
    with openai_client(locked, key) as client, pytest.raises(openai.AuthenticationError) as raised:
        client.chat.completions.create(**ASK)
    assert raised.value.code == "invalid_api_key"


def test_anthropics_header_opens_too(locked: Gateway):
    """Anthropic's client sends `x-api-key`."""
    with anthropic.Anthropic(base_url=locked.url, api_key="api-key", max_retries=0) as client:
        assert client.messages.create(**ASK, max_tokens=3).content


def test_the_workers_key_is_the_gateways_own_business(locked: Gateway, worker: FakeWorker):
    """The client's key never reaches an engine."""
    with openai_client(locked, "api-key") as client:
        client.chat.completions.create(**ASK)
    assert worker.last()["headers"]["authorization"] == f"Bearer {worker.key}"
    assert "api-key" not in str(worker.last())


def test_an_api_key_may_not_administer(locked: Gateway):
    """403 `permission`: a good key, for something else."""
    answer = locked.client.get("/admin/workers", headers={"authorization": "Bearer api-key"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "permission")
    assert locked.client.get("/admin/workers", headers={"authorization": "Bearer admin-key"}).status_code == 200


BAD_KEYS: dict[str, dict[str, str]] = {
    "none": {},
    "empty": {"authorization": ""},
    "no key": {"authorization": "Bearer "},
    "wrong": {"authorization": "Bearer wrong"},
    "other scheme": {"authorization": "Basic api-key"},
    "no scheme": {"authorization": "api-key"},
    "not ASCII": {"authorization": "Bearer \xfcber"},
    "doubled in one": {"authorization": "Bearer api-key, Bearer api-key"},
    "long": {"authorization": "Bearer " + "x" * 10_000},
    "wrong in x-api-key": {"x-api-key": "wrong"},
}


@pytest.mark.parametrize("headers", BAD_KEYS.values(), ids=BAD_KEYS.keys())
async def test_every_route_but_livez_is_closed(locked: Gateway, headers: dict[str, str]):
    """Deny by default: all of them 401 with the same shape, unknown routes included."""
    paths = {*locked.client.get("/openapi.json", headers={"authorization": "Bearer admin-key"}).json()["paths"]}
    for path in sorted((paths | {"/docs", "/openapi.json", "/nowhere", "/admin/x"}) - OPEN_ROUTES):
        heard = await ask(locked.port, get(path, headers | {"connection": "close"}))
        assert (path, heard.status, heard.json()["error"]["code"]) == (path, 401, "invalid_api_key")


async def test_a_crafted_host_or_url_opens_nothing(locked: Gateway):
    """Decided by the routed path: neither Host nor an absolute URL fools it."""
    for target, host in (("/v1/models", "x/livez"), ("http://x/livez/../v1/models", "x"), ("/livez/../v1/models", "x")):
        heard = await ask(locked.port, head("GET", target, {"host": host, "connection": "close"}))
        assert heard.status in {400, 401}
    assert (await ask(locked.port, get("/livez"))).status == 200
