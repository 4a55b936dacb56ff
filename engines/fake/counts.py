"""What a fake worker has seen, for tests to read: `GET /fake/counts`. Owned by `app`; only it changes them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec


class Counts(msgspec.Struct):
    """Monotonic but for the gauges `running`, `prefilling`, `waiting` and `connections`."""

    requests: int = 0
    """Generations asked for."""
    finished: int = 0
    aborted: int = 0
    """Generations whose client left before the end."""
    after_leave: int = 0
    """Tokens made although the client had left."""
    running: int = 0
    prefilling: int = 0
    waiting: int = 0
    prompt_tokens: int = 0
    generation_tokens: int = 0
    connections: int = 0
    """Open now."""
    connections_total: int = 0
    unauthorized: int = 0
    adapter_loads: int = 0
    adapter_unloads: int = 0

    @contextmanager
    def gauge(self, name: str) -> Iterator[None]:
        """Raises the gauge `name` by one for as long as the block runs."""
        setattr(self, name, getattr(self, name) + 1)
        try:
            yield
        finally:
            setattr(self, name, getattr(self, name) - 1)
