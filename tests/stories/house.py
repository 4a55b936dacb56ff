"""A running supervisor with fake workers, and what story tests ask of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from engines.processes import sessions
from engines.supervisor import control
from registry.snapshot import ModelView, Snapshot, WorkerView, decode
from tests.processes import free_port
from tests.waiting import PATIENCE, eventually

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "tests/stories/programs/serve_fake.py"


def registry(folder: Path, **models: dict) -> Path:
    """A registry file of local fake models; each keyword is a model, its value the changed fields."""
    path = folder / "registry.yaml"
    entries = {
        name: {"engine": "vllm"} | ({} if "urls" in fields else {"source": "./weights"}) | fields
        for name, fields in models.items()
    }
    (folder / "weights").mkdir(exist_ok=True)
    fresh = folder / "registry.new"
    fresh.write_text(json.dumps({"models": entries}))
    return fresh.replace(path)  # whole or not at all: somebody may be reading it


class House:
    """One supervisor process. `events` are its announcements so far; `snapshot` is the newest published."""

    def __init__(self, process: asyncio.subprocess.Process, state: Path, url: str) -> None:
        self.process = process
        self.state = state
        self.url = url
        self.events: list[dict] = []
        self.snapshot = Snapshot(0)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def said(self, event: str) -> list[dict]:
        return [each for each in self.events if each["event"] == event]

    def model(self, name: str = "m") -> ModelView | None:
        return next((each for each in self.snapshot.models if each.name == name), None)

    def worker(self, state: str = "", name: str = "m", seat: int = 0) -> WorkerView | None:
        """The worker in a seat, if it is in this state."""
        model = self.model(name)
        worker = model.workers[seat] if model and len(model.workers) > seat else None
        return worker if worker and state in {"", worker.state} else None

    async def ready(self, name: str = "m", *, not_id: str = "", within: float = PATIENCE) -> WorkerView:
        def look() -> WorkerView | None:
            worker = self.worker("ready", name)
            return worker if worker and worker.id != not_id else None

        return await eventually(look, within=within, what=f"{name} to be ready; {self.snapshot}; {self.events}")

    async def listen(self) -> None:
        while line := await self.process.stdout.readline():
            self.events.append(json.loads(line))

    async def follow(self) -> None:
        reader, writer = await eventually(self._connected, what="the control socket")
        try:
            while line := await reader.readline():
                self.snapshot = decode(line)
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """None until a supervisor listens: the file alone may be a dead one's."""
        with contextlib.suppress(ConnectionError, FileNotFoundError):
            return await asyncio.open_unix_connection(control.locate(self.state), limit=2**24)
        return None


@asynccontextmanager
async def house(
    registry_path: Path, *, drain: float = 2.0, port: int = 0, patient: bool = False, gateways: int = 1
) -> AsyncIterator[House]:
    """A supervisor, ended at the latest when the block is left. `patient`: with the product's own waits."""
    state, port = registry_path.parent / "state", port or free_port()
    words = (PROGRAM, registry_path, state, port, drain, gateways, *(["--patient"] if patient else []))
    argv = [str(word) for word in words]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *argv,
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    running = House(process, state, f"http://127.0.0.1:{port}")
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(running.listen()), group.create_task(running.follow())]
            try:
                yield running
            finally:
                if process.returncode is None:
                    process.terminate()
                await process.wait()
                for task in tasks:
                    task.cancel()
    finally:
        process._transport.close()


def alive(pid: int) -> bool:
    return sessions.birth(pid) is not None


def family(pid: int) -> set[int]:
    """A worker's process, its keeper and everything in their session."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return set(sessions.members(int(fields[3])))


async def known(running: House, model: str) -> None:
    """Waits until a gateway lists the model: it hears of it a moment after the supervisor has said so."""
    await eventually(lambda: running.model(model), what=f"the model {model}")
    async with httpx.AsyncClient(base_url=running.url, trust_env=False, timeout=PATIENCE) as http:

        async def look() -> bool:
            return model in [each["id"] for each in (await http.get("/v1/models")).json().get("data", ())]

        await eventually(look, what=f"a gateway that knows the model {model}")


async def caught_up(running: House) -> None:
    """Waits until a gateway has the snapshot that the test has: which of them is told first is left to chance."""
    revision = running.snapshot.revision
    async with httpx.AsyncClient(base_url=running.url, trust_env=False, timeout=PATIENCE) as http:

        async def look() -> bool:
            return (await http.get("/readyz", params={"verbose": ""})).json()["snapshot"] >= revision

        await eventually(look, what=f"snapshot {revision} in the gateway")


async def answered(running: House, model: str) -> None:
    """Waits until a completion goes through: a gateway that has just come answers 503 until it has a snapshot, and 404
    for an adapter (`model:name`) of which it has not heard. The registry's models are in its first snapshot.
    """
    waited_for = {404, 503} if ":" in model else {503}
    async with httpx.AsyncClient(base_url=running.url, trust_env=False, timeout=PATIENCE) as http:

        async def ask() -> bool:
            answer = await http.post("/v1/completions", json={"model": model, "prompt": "x"})
            assert answer.status_code in {200, *waited_for}, answer.text
            return answer.status_code == 200

        await eventually(ask, what="an answer")
