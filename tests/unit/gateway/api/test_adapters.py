"""`/admin/adapters` and vLLM's two paths: which order each is, what is never taken, and nothing left of an upload."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from gateway.api.adapters import adapters
from gateway.api.lora import lora
from gateway.api.multipart import Multipart
from gateway.api.refusals import install
from gateway.api.uploads import DiskFull, Spool
from gateway.errors import BodyTooLarge, ClientGone, InvalidRequest
from gateway.pool.house import House
from registry.adapter_orders import (
    Adapted,
    AdapterRefusal,
    AddAdapter,
    ListAdapters,
    Listed,
    PinAdapter,
    PromoteAdapter,
    RefusalState,
    RemoveAdapter,
    RevisionState,
    RollbackAdapter,
    SplitAdapter,
    split_state,
)
from registry.adapters import Canary, Share
from tests.unit.gateway.builders import Clock, Inbox, cancelled, exchange, model_view, part, snapshot, worker_view

DIGEST = "0123456789abcdef" * 4
DONE = Adapted(RevisionState("m", "cat", DIGEST, current=True))
WHO = "api:testclient"


def contents(source):
    files = [source] if source.is_file() else sorted(source.iterdir())
    return [file.read_bytes() for file in files]


class Desk:
    """The routes over a supervisor that answers what it is told to, and remembers the orders."""

    def __init__(self, tmp_path, answer=DONE, limit=1000):
        self.orders, self.seen = [], []
        self.folder = tmp_path / "uploads"

        async def ask(order):
            self.orders.append(order)
            if isinstance(order, AddAdapter) and order.consumed:
                self.seen = contents(Path(order.source))
            return answer

        house = House(Clock())
        house.publish(snapshot(model_view(worker_view(), adapter_slots=4), model_view(name="other")))
        api = FastAPI()
        install(api)
        api.include_router(adapters(ask, Spool(self.folder, limit)))
        api.include_router(lora(house, ask))

        async def app(scope, receive, send):
            scope["exchange"] = exchange()
            await api(scope, receive, send)

        self.client = TestClient(app)

    @property
    def left(self):
        return sorted(self.folder.iterdir()) if self.folder.exists() else []


ADD = {"model": "m", "adapter": "cat", "source": "hf://me/cat@main"}
AT = "/admin/adapters"
ORDERS = [
    ("GET", AT, None, ListAdapters()),
    ("GET", f"{AT}?model=m", None, ListAdapters("m")),
    ("GET", f"{AT}/m:cat", None, ListAdapters("m", "cat")),
    ("POST", AT, ADD, AddAdapter("m", "cat", "hf://me/cat@main", WHO, outside=True)),
    (
        "POST",
        AT,
        {**ADD, "promote": True, "base": ""},
        AddAdapter("m", "cat", "hf://me/cat@main", WHO, True, "", outside=True),
    ),
    ("POST", f"{AT}/m:cat@01234567/promote", None, PromoteAdapter("m", "cat", "01234567", WHO)),
    ("POST", f"{AT}/org/m:cat/promote", {"digest": DIGEST}, PromoteAdapter("org/m", "cat", DIGEST, WHO)),
    ("POST", f"{AT}/m:cat/rollback", None, RollbackAdapter("m", "cat", WHO)),
    ("POST", f"{AT}/m:cat/pin", {"pinned": False}, PinAdapter("m", "cat", "", WHO, pinned=False)),
    (
        "POST",
        f"{AT}/m:cat/split",
        {"split": {"01234567": 95, "89abcdef": 5}, "shadow": {"aaaaaaaa": 3}, "max_ttft_ratio": 2},
        SplitAdapter(
            "m",
            "cat",
            WHO,
            Canary((Share("01234567", 95), Share("89abcdef", 5)), Share("aaaaaaaa", 3), max_ttft_ratio=2.0),
        ),
    ),
    ("POST", f"{AT}/m:cat/split", None, SplitAdapter("m", "cat", WHO)),
    ("DELETE", f"{AT}/m:cat", None, RemoveAdapter("m", "cat", WHO)),
]


@pytest.mark.parametrize(("method", "path", "body", "order"), ORDERS)
def test_every_route_is_one_order(tmp_path, method, path, body, order):
    desk = Desk(tmp_path, Listed((DONE.revision,)) if method == "GET" else DONE)
    assert desk.client.request(method, path, json=body).status_code == 200
    assert desk.orders == [order]


WHOLE = [
    ("DELETE", f"{AT}/m:cat@01234567", None),
    ("POST", f"{AT}/m:cat@01234567/rollback", None),
    ("POST", f"{AT}/m:cat@01234567/split", {}),
    ("POST", "/v1/unload_lora_adapter", {"lora_name": "m:cat@01234567"}),
    ("POST", "/v1/load_lora_adapter", {"lora_name": "m:cat@01234567", "lora_path": "hf://me/cat@main"}),
    ("POST", f"{AT}/m:cat/promote", {}),
    ("POST", f"{AT}/m:cat/promote", {"digest": "x" * 9999}),
    ("POST", f"{AT}/m:cat/pin", {"digest": "0123"}),
]


@pytest.mark.parametrize(("method", "path", "body"), WHOLE)
def test_an_adapter_and_one_revision_of_it_are_not_mistaken_for_each_other(tmp_path, method, path, body):
    """Who takes one revision away must not lose them all; who promotes says which."""
    desk = Desk(tmp_path)
    answer = desk.client.request(method, path, json=body)
    assert (answer.status_code, desk.orders, len(answer.content) < 400) == (400, [], True)


def test_the_answer_is_the_supervisors(tmp_path):
    answer = Desk(tmp_path).client.post(AT, json=ADD).json()
    assert (answer["revision"]["digest"], answer["revision"]["current"]) == (DIGEST, True)


def test_a_refusal_is_the_envelope_with_its_reasons_and_each_workers(tmp_path):
    refused = AdapterRefusal(422, "adapter_refused", "rank_too_high: is 64", ("rank_too_high", "dora"), {"w1": "full"})
    answer = Desk(tmp_path, refused).client.post(AT, json=ADD)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (422, "adapter_refused", "rank_too_high")
    assert (error["reasons"], error["faults"]) == (["rank_too_high", "dora"], {"w1": "full"})


def test_an_adapter_that_nothing_is_known_of_is_not_found(tmp_path):
    """In the envelope, where a list of all is empty and fine; nor is a revision of one that there is."""
    desk = Desk(tmp_path, Listed())
    answer = desk.client.get(f"{AT}/m:cat")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "adapter_not_found")
    assert desk.client.get(AT).status_code == 200
    known = Desk(tmp_path, Listed((DONE.revision,)))
    assert known.client.get(f"{AT}/m:cat@{DIGEST[:8]}").json()["revisions"][0]["digest"] == DIGEST
    assert known.client.get(f"{AT}/m:cat@ffffffff").status_code == 404


def test_a_split_is_shown_by_digest(tmp_path):
    split = split_state("m", "cat", Canary((Share(DIGEST, 95), Share("f" * 64, 5)), max_error_rate=0.5))
    (shown,) = Desk(tmp_path, Listed((DONE.revision,), splits=(split,))).client.get(f"{AT}/m:cat").json()["splits"]
    assert (shown["shares"], shown["max_error_rate"]) == ({DIGEST: 95, "f" * 64: 5}, 0.5)


def test_no_folder_of_this_machine_is_shown(tmp_path):
    """Neither in a listing nor in what the system says of a file; addresses are whole."""
    state = "/srv/some house/adapters"
    refused = RefusalState(0.0, "watch /srv/in", "m", "dog", "/srv/in/dog", f"{state}/quarantine/12-dog", ("r: is 9",))
    revision = RevisionState("m", "cat", DIGEST, source="https://host/a/b/")
    listed = Desk(tmp_path, Listed((revision,), refused=(refused,))).client.get(AT).json()
    (seen,) = listed["refused"]
    assert (seen["place"], seen["source"], seen["who"]) == ("12-dog", "dog", "watch in")
    assert listed["revisions"][0]["source"] == "https://host/a/b/"
    failed = AdapterRefusal(
        503, "store_failed", f"{state}/store.sqlite: Input/output error", faults={"w1": "no /a/b/c"}
    )
    error = Desk(tmp_path, failed).client.post(AT, json=ADD).json()["error"]
    assert (error["message"], error["faults"]) == ("store.sqlite: Input/output error", {"w1": "no c"})


def test_what_can_be_tried_again_says_when(tmp_path):
    answer = Desk(tmp_path, AdapterRefusal(503, "no_worker", "none serves")).client.post(AT, json=ADD)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


@pytest.mark.parametrize("source", ["/etc", "./a", "a", "../../etc/passwd", "~/x", ""])
def test_no_path_of_this_machine_is_taken(tmp_path, source):
    desk = Desk(tmp_path)
    answers = [
        desk.client.post(AT, json={**ADD, "source": source}),
        desk.client.post("/v1/load_lora_adapter", json={"lora_name": "cat", "lora_path": source}),
    ]
    assert ([each.status_code for each in answers], desk.orders) == ([403, 403], [])


@pytest.mark.parametrize("source", ["file:///etc", "hf://", "hf://a/b", "https://a/../b", "gopher://x"])
def test_a_source_that_is_none_is_refused(tmp_path, source):
    desk = Desk(tmp_path)
    assert (desk.client.post(AT, json={**ADD, "source": source}).status_code, desk.orders) == (400, [])


NAMES = ["a/b", "..", "a:b", "a@b", "A", "a\x00", "a\nb", "a" * 10_000, "", "\u0441at", "-a", "a b"]


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_name_is_refused_and_not_repeated(tmp_path, name):
    """Slashes, dots, colons, control characters, 10 kB, another alphabet's letters."""
    desk = Desk(tmp_path, limit=100_000)
    answers = [
        desk.client.post(AT, json={**ADD, "adapter": name}),
        desk.client.post(AT, data={"model": "m", "adapter": name}, files={"file": ("a.tar", b"x")}),
        desk.client.post("/v1/load_lora_adapter", json={"lora_name": f"m:{name}", "lora_path": ADD["source"]}),
    ]
    assert ([each.status_code for each in answers], desk.orders, desk.left) == ([400, 400, 400], [], [])
    assert all(len(each.content) < 400 for each in answers)


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b'{"model":1}', b'{"evil":1}', b"[" * 9999, b"null"])
def test_a_body_that_is_no_order_is_refused(tmp_path, body):
    desk = Desk(tmp_path)
    assert (desk.client.post(AT, content=body).status_code, desk.orders) == (400, [])


SPLITS = [
    {"split": {"x": 1}},
    {"split": {"01234567": -1}},
    {"split": {"01234567": 0}},
    {"split": {"01234567": 10**9}},
    {"shadow": {"01234567": 101}},
    {"shadow": {"01234567": 1, "89abcdef": 1}},
    {"split": {"01234567": 1}, "max_error_rate": -1},
    {"split": {"01234567": 1}, "min_requests": 0},
    {"split": {"01234567": 1}, "min_requests": 2**70},
    {"split": {"01234567": 1.5}},
]


@pytest.mark.parametrize("body", SPLITS)
def test_a_split_that_cannot_be_is_refused(tmp_path, body):
    desk = Desk(tmp_path)
    assert (desk.client.post(f"{AT}/m:cat/split", json=body).status_code, desk.orders) == (400, [])


def test_an_archive_is_uploaded_and_nothing_is_left(tmp_path):
    """Under a name of ours, whatever the client calls it."""
    desk = Desk(tmp_path)
    fields = {"model": "m", "adapter": "cat", "promote": "true", "base": DIGEST}
    answer = desk.client.post(AT, data=fields, files={"file": ("cat.tar.gz", b"\0archive")})
    (order,) = desk.orders
    assert (answer.status_code, desk.seen, desk.left) == (200, [b"\0archive"], [])
    assert (order.promote, order.base, order.consumed, "cat" in order.source) == (True, DIGEST, True, False)


def test_the_two_files_of_an_adapter_can_be_uploaded_as_they_are(tmp_path):
    desk = Desk(tmp_path)
    files = [("files", ("adapter_config.json", b"{}")), ("files", ("adapter_model.safetensors", b"\1"))]
    answer = desk.client.post(AT, data={"model": "m", "adapter": "cat"}, files=files)
    assert (answer.status_code, desk.seen, desk.left) == (200, [b"{}", b"\1"], [])


FILES = [
    ([("file", ("../x", b""))], 400),
    ([("file", ("a/b", b""))], 400),
    ([("file", ("a", b"")), ("file", ("a", b""))], 400),
    ([("file", ("a", b"")), ("file", ("b", b""))], 400),
    ([("file", ("a", b"x" * 2000))], 413),
    ([("note", (None, b"x" * 5000))], 413),
    ([("note", (None, b"x"))], 400),
]


@pytest.mark.parametrize(("files", "status"), FILES)
def test_an_upload_that_cannot_be_is_refused_and_nothing_is_left(tmp_path, files, status):
    desk = Desk(tmp_path)
    answer = desk.client.post(AT, data={"model": "m", "adapter": "cat"}, files=files)
    assert (answer.status_code, desk.orders, desk.left) == (status, [], [])


@pytest.mark.parametrize("kept", range(0, 120, 7))
async def test_an_upload_that_is_cut_leaves_nothing(tmp_path, kept):
    whole = b'--b\r\ncontent-disposition: form-data; name="f"; filename="a"\r\n\r\n' + b"x" * 60
    inbox = Inbox(part(whole[:kept], more=True))
    inbox.leave()
    with pytest.raises(ClientGone):
        async with Spool(tmp_path, 1000).receiving(inbox, b"multipart/form-data; boundary=b"):
            pytest.fail("it is not complete")
    assert list(tmp_path.iterdir()) == []


async def test_what_ends_early_or_never_is_refused_and_leaves_nothing(tmp_path):
    head = b'--b\r\ncontent-disposition: form-data; name="f"; filename="a"\r\n\r\n'
    for inbox, expected in (
        (Inbox(part(head + b"x")), InvalidRequest),
        (Inbox(part(head, more=True), *[part(b"x" * 100, more=True)] * 100), BodyTooLarge),
    ):
        with pytest.raises(expected):
            async with Spool(tmp_path, 1000).receiving(inbox, b"multipart/form-data; boundary=b"):
                pytest.fail("it is not complete")
        assert list(tmp_path.iterdir()) == []


@pytest.fixture
def small_disk(tmp_path):
    """64 KiB; only root mounts one."""
    place, mount, umount = tmp_path / "small", shutil.which("mount"), shutil.which("umount")
    place.mkdir()
    if os.geteuid() or not (mount and umount):
        pytest.skip("only root mounts a small disk")
    mounted = subprocess.run([mount, "-t", "tmpfs", "-o", "size=64k", "none", place], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("no small disk here: " + mounted.stderr.decode())
    yield place
    subprocess.run([umount, place], check=True)


async def test_a_full_disk_is_told_and_nothing_is_left(small_disk):
    """507, and room again for the next one."""
    head = b'--b\r\ncontent-disposition: form-data; name="f"; filename="a"\r\n\r\n'
    inbox = Inbox(part(head + bytes(10**5)))
    with pytest.raises(DiskFull) as told:
        async with Spool(small_disk, 10**6).receiving(inbox, b"multipart/form-data; boundary=b"):
            pytest.fail("it is not complete")
    assert (told.value.answered_status, contents(small_disk)) == (507, [])


async def test_what_the_supervisor_has_taken_over_is_its_own(tmp_path):
    """The gateway is told to stop while the adapter is loaded: nobody takes the files away from under it."""
    whole = b'--b\r\ncontent-disposition: form-data; name="f"; filename="a"\r\n\r\nx\r\n--b--'
    spool, handed = Spool(tmp_path, 1000), asyncio.Queue()

    async def add():
        async with spool.receiving(Inbox(part(whole)), b"multipart/form-data; boundary=b") as upload:
            handed.put_nowait(upload.hand_over())
            await asyncio.Event().wait()

    adding = asyncio.get_running_loop().create_task(add())
    source = await handed.get()
    await cancelled(adding)
    assert contents(source) == [b"x"]


VLLMS = [
    (
        {"lora_name": "cat", "lora_path": "hf://me/cat@main"},
        AddAdapter("m", "cat", "hf://me/cat@main", WHO, True, "", outside=True),
    ),
    (
        {"lora_name": "other:cat", "lora_path": "hf://me/cat@main", "load_inplace": True},
        AddAdapter("other", "cat", "hf://me/cat@main", WHO, True, outside=True),
    ),
]


@pytest.mark.parametrize(("body", "order"), VLLMS)
def test_vllms_words_load_and_unload_for_the_whole_pool(tmp_path, body, order):
    desk = Desk(tmp_path)
    loaded = desk.client.post("/v1/load_lora_adapter", json=body)
    unloaded = desk.client.post("/v1/unload_lora_adapter", json={"lora_name": body["lora_name"]})
    assert desk.orders == [order, RemoveAdapter(order.model, "cat", WHO)]
    assert loaded.text == f"Success: LoRA adapter '{body['lora_name']}' added successfully."
    assert unloaded.text == f"Success: LoRA adapter '{body['lora_name']}' removed successfully."


def test_what_is_loaded_already_is_refused_as_by_vllm(tmp_path):
    desk = Desk(tmp_path, AdapterRefusal(409, "adapter_moved", "stands for x"))
    answer = desk.client.post("/v1/load_lora_adapter", json=VLLMS[0][0])
    assert (answer.status_code, "has already been loaded" in answer.text) == (400, True)


def test_the_pieces_of_a_form_are_never_more_than_what_arrived():
    """An upload is not held in memory."""
    reader = Multipart(b"b")
    list(reader.feed(b'--b\r\ncontent-disposition: form-data; name="f"; filename="a"\r\n\r\n'))
    assert all(sum(map(len, reader.feed(b"x" * 1000))) <= 1004 for _ in range(100))
