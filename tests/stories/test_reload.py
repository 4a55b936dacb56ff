"""The registry file is edited under load: no request fails, none is cut, and a file with faults changes nothing."""

from __future__ import annotations

import itertools
import json
import resource
import signal
from pathlib import Path

import httpx

from tests.faults.client import ask, calling, post
from tests.faults.stage import CHAT, refused, whole
from tests.stories.house import House, answered, caught_up, house, registry
from tests.stories.load import LONG, loaded, metric
from tests.waiting import eventually

MIB, PAGE = 1024**2, resource.getpagesize()
SUCCESS = "enginehouse_registry_last_reload_success"
BROKEN = {
    "syntax": ("models: [", "not YAML"),
    "wrong type": ('{"models": {"m": {"engine": "vllm", "source": "./weights", "replicas": "two"}}}', "replicas"),
    "duplicate": (
        "models:\n  m: {engine: vllm, source: .}\n  m: {engine: vllm, source: .}\n",
        "duplicate",
    ),
    "unknown key": ('{"models": {"m": {"engine": "vllm", "source": "./weights", "replcas": 2}}}', "replcas"),
    "empty": ("", "empty"),
    "half-written": ('{"models": {"m": {"engine": "vl', ""),
    "10 MB": ("# " + "x" * 10_000_000, "larger than 1024 KiB"),
    "bomb": ("a: &a [x,x]\n" + "".join(f"{n}: &{n} [*{p},*{p}]\n" for p, n in itertools.pairwise("abcdefghijklm")), ""),
    "object": ("models: !!python/object/apply:os.system ['true']\n", "tag"),
    "impossible": ('{"models": {"m": {"engine": "vllm", "source": "./nowhere"}}}', "there is no file"),
}
"""Contents of a file, and a word of what is said about each."""


async def swapped(running: House, before: str, workers: int) -> None:
    """Until so many workers of another pool serve and the old one's are gone."""

    def look() -> bool:
        model = running.model()
        ready = model and [each for each in model.workers if each.state == "ready"]
        return bool(ready) and len(ready) == workers and ready[0].id != before and not running.snapshot.leaving

    await eventually(look, within=LONG, what=f"a swap; {running.events[-5:]}")


async def test_six_swaps_under_load_fail_and_cut_no_request(tmp_path: Path) -> None:
    """Engine, quantization, replicas and arguments."""
    edits = [
        {"engine": "sglang"},
        {"engine": "lmdeploy"},
        {"engine": "vllm", "quantization": "int4"},
        {"engine": "vllm", "quantization": "int4", "replicas": 2, "trust_remote_code": True},
        {"engine": "vllm", "quantization": "none", "options": {"vllm": {"max_num_seqs": 64}}},
        {"engine": "sglang", "context": 1024},
    ]
    path = registry(tmp_path, m={})
    async with house(path) as running:
        await running.ready(within=LONG)
        await answered(running, "m")
        async with loaded(running) as load:
            for edit in edits:
                before = running.worker().id
                registry(tmp_path, m=edit)
                await swapped(running, before, edit.get("replicas", 1))
            await load.more()
    assert [str(each.body[-500:]) for each in load.bad] == []
    assert (len(running.said("Swapped")), running.said("CutShort"), running.said("WorkerLost")) == (6, [], [])


async def test_a_file_with_faults_changes_nothing_while_streams_run(tmp_path: Path) -> None:
    """Each kind of fault, through a link as Kubernetes makes it; what is wrong is said; a later good file is taken."""
    (tmp_path / "v0").mkdir()
    (tmp_path / "v0/r.yaml").write_text(registry(tmp_path, m={}).read_text())
    (tmp_path / "..data").symlink_to("v0")
    (tmp_path / "registry.yaml").unlink()
    (tmp_path / "registry.yaml").symlink_to("..data/r.yaml")
    async with house(tmp_path / "registry.yaml") as running:
        first = await running.ready(within=LONG)
        await answered(running, "m")
        async with loaded(running) as load:
            for number, (text, telling) in enumerate(BROKEN.values(), 1):
                publish(tmp_path, f"v{number}", text)
                said = await eventually(lambda n=number: running.said("ReloadRefused")[n - 1 : n], within=LONG)
                assert telling in said[0]["faults"][0]
                await eventually(lambda: "registry.yaml:" in running.snapshot.reload_error, within=LONG)
            assert await metric(running, SUCCESS, 0.0)
            await load.more()
            good = {"engine": "vllm", "source": "./weights", "aliases": ["a"]}
            publish(tmp_path, "good", json.dumps({"models": {"m": good}}))
            await eventually(lambda: running.model().aliases == ("a",), within=LONG)
            await load.more()
        assert await metric(running, SUCCESS, 1.0)
    assert (load.bad, running.worker().id, running.snapshot.reload_error) == ([], first.id, "")


def publish(folder: Path, version: str, text: str) -> None:
    """A new version of the file, as Kubernetes does it: the link to the folder is swapped."""
    (folder / version).mkdir()
    (folder / version / "r.yaml").write_text(text)
    (folder / "fresh").symlink_to(version)
    (folder / "fresh").replace(folder / "..data")


async def test_two_hundred_valid_edits_under_load_disturb_nobody(tmp_path: Path) -> None:
    """Names and limits, and models that come and go; the worker of the one that stays is the same process.

    A removed model finishes its streams and takes no new request; its worker is stopped then. Nothing grows.
    """
    async with house(registry(tmp_path, m={}, gone={})) as running:
        first, gone = await running.ready(within=LONG), await running.ready("gone", within=LONG)
        await answered(running, "gone")
        body = {"model": "gone", "messages": [], "stream": True, "seed": 1, "x_fake": {"tokens": 80, "itl": 0.1}}
        async with loaded(running) as load:
            async with calling(running.port, post(CHAT, body)) as stream:
                await stream.hear(events=3)
                registry(tmp_path, m={})
                running.process.send_signal(signal.SIGHUP)
                await eventually(lambda: running.model("gone") is None, within=LONG)
                await caught_up(running)
                turned_away = await ask(running.port, post(CHAT, {"model": "gone", "messages": []}))
                assert [each.id for each in running.snapshot.leaving] == [gone.id]
                assert whole(await stream.hear(), 80, seed=1)
            assert refused(turned_away, 404, "model_not_found")
            await edit(running, tmp_path, range(40))
            before = memory(running)
            await edit(running, tmp_path, range(40, 200))
            after = memory(running)
            await load.more()
        await eventually(lambda: not running.snapshot.leaving, within=LONG)
    assert (load.bad, running.worker().id) == ([], first.id)
    assert (running.model().aliases, [each.name for each in running.snapshot.models]) == (("a199",), ["m"])
    assert [now - then < 16 * MIB for then, now in zip(before, after, strict=True)] == [True] * 2, (before, after)


async def edit(running: House, folder: Path, numbers: range) -> None:
    """Another alias and limit each time; now and then a model more."""
    async with httpx.AsyncClient(base_url=running.url, trust_env=False, timeout=LONG) as http:
        for number in numbers:
            other = {"n": {}} if number % 20 == 10 else {}
            registry(folder, m={"aliases": [f"a{number}"], "queue": {"limit": 100 + number}}, **other)
            assert (await http.post("/admin/reload")).status_code == 200
            assert running.said("ReloadRefused") == []


def memory(running: House) -> tuple[int, int]:
    """Bytes that the supervisor and its gateway hold."""
    pids = (running.process.pid, running.said("GatewayStarted")[-1]["pid"])
    pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids]
    return pages[0] * PAGE, pages[1] * PAGE
