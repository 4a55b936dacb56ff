"""How long is waited for what concerns adapters: `supervisor.pacing`, as far as the ledger knows it."""

from __future__ import annotations

from typing import Protocol

from engines.thrift import Thrift


class Waits(Protocol):
    """Seconds, but for `swap_tries` and `thrift`; what each is for stands in `Pacing`."""

    @property
    def adapter_within(self) -> float: ...
    @property
    def adapter_room(self) -> float: ...
    @property
    def adapter_worker(self) -> float: ...
    @property
    def probe_within(self) -> float: ...
    @property
    def warm_up_within(self) -> float: ...
    @property
    def start_within(self) -> float: ...
    @property
    def swap_drain(self) -> float: ...
    @property
    def swap_tries(self) -> int: ...
    @property
    def refit_again(self) -> float: ...
    @property
    def thrift(self) -> Thrift: ...

    def load_again(self, failures: int) -> float:
        """The wait for an adapter that could not be loaded so often on a worker."""
