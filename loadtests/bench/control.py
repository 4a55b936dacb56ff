"""A stand-in for the supervisor: publishes snapshots on a Unix control socket, and nothing more. Used by `arena`."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Self

import msgspec

from registry.snapshot import ModelView, QueueLimits, Snapshot, WorkerState, WorkerView, encode


def catalogue(engine_port: int, *, models: int = 1, aliases: int = 0) -> Snapshot:
    """A registry of `models` models, the first called `mock`, each with one ready worker at the mock engine.

    `aliases` further names are spread over them. Adapters join here as soon as a snapshot can carry them; until
    then an alias is what costs a gateway the most like it: one more public name.
    """
    each = aliases // models
    return Snapshot(revision=1, models=tuple(_model(index, engine_port, each) for index in range(models)))


def _model(index: int, engine_port: int, aliases: int) -> ModelView:
    name = f"mock-{index:04}" if index else "mock"
    worker = WorkerView(id=f"{name}#1", url=f"http://127.0.0.1:{engine_port}", state=WorkerState.READY, capacity=4096)
    return ModelView(
        name=name,
        engine="vllm",
        served_name=name,
        aliases=tuple(f"{name}-alias-{number:04}" for number in range(aliases)),
        context=32768,
        created=1760000000,
        queue=QueueLimits(limit=4096, wait=30.0),
        workers=(worker,),
    )


class ControlStandIn:
    """Every connected client has been sent the newest snapshot, and will be sent each later one.

    Each publication has the next revision, as the supervisor's have.
    """

    def __init__(self, path: Path, snapshot: Snapshot) -> None:
        self._revision = 1
        self._newest = encode(snapshot)
        self._lock = threading.Lock()
        self._clients: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen()
        self._accepting = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._accepting.join()
        self._listener.close()
        for client in self._clients:
            client.close()

    def publish(self, snapshot: Snapshot) -> None:
        """Replaces the snapshot and sends it to every client."""
        with self._lock:
            self._revision += 1
            self._newest = encode(msgspec.structs.replace(snapshot, revision=self._revision))
            for client in self._clients:
                client.sendall(self._newest)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                client.sendall(self._newest)
                self._clients.append(client)
