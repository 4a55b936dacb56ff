"""What `enginehouse status` makes of a snapshot."""

import io
import json

import msgspec
from rich.console import Console

from cli.__main__ import main
from cli.status import view, without_keys
from registry.adapters import Resident
from registry.causes import Cause
from registry.snapshot import Loading, ModelView, OnDemand, Snapshot, WorkerState, WorkerView, decode

READY = WorkerView("m-0-1", "http://127.0.0.1:4001", WorkerState.READY, key="secret", pid=77, since=940.0)


def shown(snapshot, now=1000.0, width=160):
    console = Console(file=io.StringIO(), width=width)
    console.print(view(snapshot, now))
    return console.file.getvalue()


def test_a_worker_has_a_row():
    """Name, state, age, process and address."""
    row = shown(Snapshot(1, (ModelView("m", "vllm", "m", workers=(READY,)),))).splitlines()[1]
    assert row.split() == ["m", "m-0-1", "ready", "1m00s", "77", "127.0.0.1:4001"]


def test_what_hosts_share_and_cannot_be_reached_is_said():
    assert "adapters shared with other hosts: Redis is gone" in shown(Snapshot(1, store_trouble="Redis is gone"))
    assert "shared" not in shown(Snapshot(1))


def test_a_worker_shows_its_adapters_and_what_was_put_right():
    """Less their model's name; and what is on its way out."""
    digest = "0123456789abcdef"
    resident = tuple(f"m:{name}@{digest}" for name in ("cat", "dog", "eel", "fox", "gnu"))
    worker = msgspec.structs.replace(READY, resident=resident, remarks=("it did not hold cat",))
    evicted = (Resident("m-0-1", f"m:owl@{digest}", "h"),)
    text = shown(Snapshot(1, (ModelView("m", "vllm", "m", workers=(worker,)),), evicted=evicted), width=220)
    assert f"cat@{digest} dog@{digest} eel@{digest} fox@{digest} +1" in text
    assert "m-0-1: it did not hold cat" in text
    assert f"m-0-1: m:owl@{digest} leaves when its requests have ended" in text


def test_a_model_without_workers_says_what_is_being_done():
    """Its step, how far it is, and how long it will take."""
    model = ModelView("m", "vllm", "m", loading=Loading("quantizing", 0.25, 90.0))
    assert "preparing" in shown(Snapshot(1, (model,)))
    assert "quantizing (25%, 1m30s left)" in shown(Snapshot(1, (model,)))


def test_a_model_that_is_not_loaded_is_no_fault():
    """Nobody has asked for it."""
    cold = Snapshot(1, (ModelView("m", "vllm", "m", on_demand=OnDemand(600.0)),))
    assert "on demand" in shown(cold)


def test_what_is_amiss_with_a_model_that_serves_is_told():
    """It has fewer workers than it should, or old addresses."""
    assert "m: no memory" in shown(Snapshot(1, (ModelView("m", "vllm", "m", workers=(READY,), trouble="no memory"),)))


def test_why_a_worker_ended_is_told_by_its_cause_first():
    """A word to look for, and then the sentence; once it starts again, that is said."""
    worker = WorkerView("w", "", WorkerState.BACKOFF, reason="the GPU has none left", cause=Cause.DEVICE_OUT_OF_MEMORY)
    assert "device_out_of_memory: the GPU has none" in shown(
        Snapshot(1, (ModelView("m", "vllm", "m", workers=(worker,)),))
    )
    again = msgspec.structs.replace(worker, state=WorkerState.STARTING, reason="starting")
    assert "out_of_memory" not in shown(Snapshot(1, (ModelView("m", "vllm", "m", workers=(again,)),)))


def test_a_reason_is_text_and_no_markup():
    """A log line may hold brackets."""
    worker = WorkerView("w", "", WorkerState.BACKOFF, reason="died: [/red] [Errno 2]")
    assert "died: [/red] [Errno 2]" in shown(Snapshot(1, (ModelView("m", "vllm", "m", workers=(worker,)),)))


def test_a_refused_edit_is_told():
    """The last good snapshot is in force; a person should know."""
    assert "line 3 is wrong" in shown(Snapshot(1, reload_error="line 3 is wrong"))


def test_json_holds_no_keys():
    """Output ends up in logs and tickets."""
    told = without_keys(Snapshot(1, (ModelView("m", "vllm", "m", workers=(READY,)),)))
    assert "secret" not in told
    assert decode(told.encode()).models[0].workers[0].url == READY.url
    assert told.endswith("\n")
    assert json.loads(told)["revision"] == 1


def test_no_supervisor_is_no_traceback(tmp_path, capsys):
    """Exit code 1 and one line."""
    assert main(["status", "--state", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("enginehouse: not running")
