"""Adapters over HTTP on a running house: uploaded, asked by name, split between revisions, or refused."""

from __future__ import annotations

import io
import os
import shutil
import socket
import tarfile
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from registry.adapters import decode, served_as
from tests import lora
from tests.faults.stage import CHAT
from tests.stories.doors import Door, doors
from tests.stories.house import House, answered, house, registry
from tests.waiting import eventually

PATIENT = 60.0
ROOM = {"adapters": {"slots": 4}}
ADAPTERS = "/admin/adapters"


def packed(folder: Path, alpha: int) -> bytes:
    """A small adapter as an archive; another alpha is another revision."""
    lora.write(folder / f"a{alpha}", lora.config(r=1, lora_alpha=alpha), lora.tensors(layers=1, rank=1))
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        tar.add(folder / f"a{alpha}", "adapter")
    return archive.getvalue()


def bomb() -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("adapter_model.safetensors", bytes(80 << 20))
    return archive.getvalue()


class Client:
    """What an administrator and a user do."""

    def __init__(self, running: House, http: httpx.AsyncClient) -> None:
        self.house, self.http = running, http

    async def upload(self, archive: bytes, **fields: str) -> httpx.Response:
        named = {"model": "m", "adapter": "pirate"} | fields
        return await self.http.post(ADAPTERS, data=named, files={"file": ("a.tar.gz", archive)})

    async def change(self, verb: str, name: str = "m:pirate", **fields: object) -> httpx.Response:
        return await self.http.post(f"{ADAPTERS}/{name}/{verb}", json=fields)

    async def voice(self, model: str = "m:pirate", **fields: object) -> str:
        """Which revision answered: fake workers put the adapter's name before each word."""
        answer = await self.http.post(CHAT, json={"model": model, "messages": [], **fields})
        assert answer.status_code == 200, answer.text
        return answer.json()["choices"][0]["message"]["content"].rpartition("/")[0].rpartition(" ")[2]

    async def known(self, name: str = "m:pirate") -> dict:
        return (await self.http.get(f"{ADAPTERS}/{name}")).json()

    async def script(self, **behaviour: object) -> None:
        """How the worker behaves from now on."""
        await self.http.post(f"{self.house.worker().url}/fake/script", json={"set": behaviour})

    async def drop(self, name: str) -> None:
        """The worker forgets an adapter, as engines do by themselves."""
        worker = self.house.worker()
        words, headers = {"lora_name": name}, {"authorization": f"Bearer {worker.key}"}
        await self.http.post(f"{worker.url}/v1/unload_lora_adapter", json=words, headers=headers)

    async def roots(self) -> dict[str, tuple[str, str | None]]:
        models = (await self.http.get("/v1/models")).json()["data"]
        return {each["id"]: (each["root"], each["parent"]) for each in models}

    @property
    def left(self) -> list[str]:
        spool = self.house.state / "uploads"
        return [each.name for each in spool.iterdir()] if spool.exists() else []


@asynccontextmanager
async def talking(running: House) -> AsyncIterator[Client]:
    """Once a gateway answers."""
    await running.ready(within=PATIENT)
    await answered(running, "m")
    async with httpx.AsyncClient(base_url=running.url, trust_env=False, timeout=60) as http:
        yield Client(running, http)


async def test_an_upload_is_asked_by_its_name_and_each_user_has_one_revision(tmp_path: Path) -> None:
    """Added, listed, promoted, split, taken back, removed; `/v1/models` tells the truth at each step."""
    async with (
        house(registry(tmp_path, m=ROOM)) as running,
        talking(running) as client,
    ):
        await running.ready(within=PATIENT)
        digests = [(await client.upload(packed(tmp_path, alpha))).json()["revision"]["digest"] for alpha in (8, 16)]
        first, second = (served_as("m", "pirate", digest) for digest in digests)
        await eventually(lambda: len(running.worker().resident) == 2, within=PATIENT)
        assert (await client.voice(), (await client.roots())["m:pirate"]) == (first, (first, "m"))
        assert await client.voice(f"m:pirate@{digests[1][:8]}") == second
        split = await client.change("split", split={digests[0][:8]: 1, digests[1][:8]: 1})
        assert split.status_code == 200, split.text
        users = [f"user-{number}" for number in range(12)]
        voices = [await client.voice(user=user) for user in users]
        assert (voices, {*voices}) == ([await client.voice(user=user) for user in users], {first, second})
        assert (await client.change("promote", digest=digests[1])).status_code == 200
        assert ({await client.voice(user=user) for user in users}, client.left) == ({second}, [])
        assert (await client.change("rollback")).json()["revision"]["digest"] == digests[0]
        assert await client.voice() == first
        assert (await client.http.delete(f"{ADAPTERS}/m:pirate")).status_code == 200
        assert (await client.http.post(CHAT, json={"model": "m:pirate", "messages": []})).status_code == 404
        assert "m:pirate" not in await client.roots()


async def test_a_split_is_judged_by_the_requests_of_all_gateways(tmp_path: Path) -> None:
    """Three on each of two gateways are more than the four that the rule wants before it judges."""
    async with (
        house(registry(tmp_path, m=ROOM), gateways=2, patient=True) as running,
        doors(running) as both,
    ):
        client = Client(running, both[0].http)
        digests = [(await client.upload(packed(tmp_path, alpha))).json()["revision"]["digest"] for alpha in (8, 16)]
        first, second = (served_as("m", "pirate", digest) for digest in digests)
        rule = {"split": {digests[1]: 1}, "max_error_rate": 0.1, "min_requests": 4}
        assert (await client.change("split", **rule)).status_code == 200
        for door in both:
            await eventually(lambda door=door: speaks(door, second), within=PATIENT, what="the split")
        for number in range(4):
            wrong = {"model": "m:pirate", "messages": [], "x_fake": {"status": 500}}
            assert (await both[number % 2].http.post(CHAT, json=wrong)).status_code >= 500
        # Asked meanwhile, good answers would outweigh the bad ones.
        await eventually(lambda: not split(running), within=PATIENT, what="the end of the split")
        for door in both:
            await eventually(lambda door=door: speaks(door, first), within=PATIENT, what="the revision before it")


def split(running: House) -> bool:
    return any(each.canary for each in decode(bytes(running.snapshot.adapters)))


async def speaks(door: Door, revision: str) -> bool:
    """Whether a request that comes in there is answered by this revision; it may also be told to come again."""
    answer = await door.http.post(CHAT, json={"model": "m:pirate", "messages": []})
    assert answer.status_code in {200, 503}, answer.text
    return answer.status_code == 200 and f"{revision}/" in answer.text


async def test_what_cannot_be_served_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    """A bomb, an upload that is no archive or is cut, a moved name, a path, vLLM's words for all that."""
    async with (
        house(registry(tmp_path, m=ROOM)) as running,
        talking(running) as client,
    ):
        await running.ready(within=PATIENT)
        bombed, damaged = await client.upload(bomb()), await client.upload(os.urandom(5000))
        told = [(each.status_code, each.json()["error"]["code"]) for each in (bombed, damaged)]
        assert told == [(422, "adapter_refused")] * 2
        assert bombed.json()["error"]["param"] == "archive_too_large"
        assert (await client.upload(packed(tmp_path, 8), base="0" * 64)).status_code == 409
        words = {"lora_name": "pirate", "lora_path": str(tmp_path)}
        assert (await client.http.post("/v1/load_lora_adapter", json=words)).status_code == 403
        assert (await client.http.post("/v1/unload_lora_adapter", json=words)).status_code == 404
        cut_short(running.port)
        await eventually(lambda: not client.left, within=PATIENT)
        assert (await client.roots(), running.worker().resident) == ({"m": ("m", None)}, ())


async def test_a_revision_whose_requests_fail_loses_its_part_by_itself(tmp_path: Path) -> None:
    """By the rule that its author gave; the name stands for what it stood for, and the history says why."""
    async with (
        house(registry(tmp_path, m=ROOM)) as running,
        talking(running) as client,
    ):
        await running.ready(within=PATIENT)
        digests = [(await client.upload(packed(tmp_path, alpha))).json()["revision"]["digest"] for alpha in (8, 16)]
        good, bad = (served_as("m", "pirate", digest) for digest in digests)
        await client.script(status=500, only=bad)
        rule = {"max_error_rate": 0.2, "min_requests": 3}
        assert (await client.change("split", split=dict.fromkeys(digests, 1), **rule)).status_code == 200
        assert list((await client.known())["splits"][0]["shares"]) == digests

        async def ended() -> bool:
            said = [await client.http.post(CHAT, json={"model": "m:pirate", "messages": []}) for _ in range(8)]
            assert {each.status_code for each in said} <= {200, 502}
            return not (await client.known()).get("splits")

        await eventually(ended, within=PATIENT)
        assert {await client.voice(user=f"user-{number}") for number in range(8)} == {good}
        known = await client.known()
        assert [each["digest"] for each in known["revisions"] if each.get("current")] == digests[:1]
        last = known["history"][-1]
        assert (last["why"], last["now"], last["who"].startswith("gateway (")) == ("split", digests[0], True)


async def test_what_a_worker_has_dropped_by_itself_is_loaded_again_and_the_request_answered(tmp_path: Path) -> None:
    """The worker answers 404, the gateway says so, the supervisor mends it; without its files it is said at once."""
    async with (
        house(registry(tmp_path, m=ROOM), patient=True) as running,  # no probe finds it out first
        talking(running) as client,
    ):
        await running.ready(within=PATIENT)
        name = served_as("m", "pirate", (await client.upload(packed(tmp_path, 8))).json()["revision"]["digest"])

        async def missed() -> bool:
            await client.drop(name)
            assert await client.voice() == name
            return any("a gateway missed" in each for each in running.worker().remarks)

        await eventually(missed, within=PATIENT)
        shutil.rmtree(tmp_path / "state/adapters/revisions")
        await client.drop(name)
        said = await client.http.post(CHAT, json={"model": "m:pirate", "messages": []})
        assert (said.status_code, said.json()["error"]["code"]) == (502, "adapter_not_loaded")
        assert ("files are gone" in said.text, str(tmp_path) in said.text) == (True, False)


def cut_short(port: int) -> None:
    """Half an upload, and then nobody."""
    head = (
        b"POST /admin/adapters HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n"
        b"content-type: multipart/form-data; boundary=b\r\n\r\n"
        b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.tar"\r\n\r\n'
    )
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(head + bytes(300_000))
