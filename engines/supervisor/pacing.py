"""How often and how long the supervisor waits: one frozen value, passed in, so that tests can be quick."""

from __future__ import annotations

from dataclasses import dataclass, field

from engines.ledger.placement import Bounds
from engines.supervisor.lifecycle import Limits
from engines.thrift import Thrift


@dataclass(frozen=True, slots=True)
class Pacing:
    """Seconds, but for `limits`, `thrift`, `adapters` and `swap_tries`. The defaults are the product's (FAULTS)."""

    ready_every: float = 0.25
    """Between two looks at a worker that starts."""
    start_within: float = 900.0
    """A worker that is not ready by then is taken for hung."""
    probe_every: float = 5.0
    probe_again: float = 1.0
    """After the first probe that found a ready worker dead: the second one need not wait for its turn."""
    probe_within: float = 2.0
    warm_up_within: float = 120.0
    mute_within: float = 60.0
    """A worker that is healthy for so long and makes no token, asked several times, will not make one."""
    sleep_within: float = 120.0
    """For an engine's answer that it sleeps: it copies the weights to the host's memory."""
    wake_within: float = 120.0
    """For its answer that it is awake, and again for its first token; then another worker is started in its place."""
    hung_after: float = 60.0
    """A worker of ours that is unhealthy for so long is replaced; one that is dead, at once."""
    grace: float = 10.0
    """Between SIGTERM and SIGKILL."""
    prepare_first: float = 10.0
    """Before environment and weights are tried again after a failure; doubled each time."""
    prepare_longest: float = 300.0
    admit_longest: float = 30.0
    """Between two looks whether there is memory for a model that did not fit: the look is cheap."""
    watch_every: float = 0.5
    """Between two looks at the registry file."""
    swap_tries: int = 3
    """How often a new pool's preparation or workers may fail before the old pool stays for good."""
    parity_within: float = 90.0
    """For what a pool is asked at a swap, all of it."""
    swap_drain: float = 900.0
    """What requests on a pool that leaves have to end; then its workers are stopped. (An answer may take 600.)"""
    adapter_within: float = 120.0
    """For one load or unload of an adapter: an engine ends its step first."""
    collect_every: float = 3600.0
    """Between two removals of adapters' revisions that nothing needs."""
    adapter_room: float = 60.0
    """How long somebody who adds an adapter waits for a slot."""
    adapter_worker: float = 300.0
    """And for a worker that serves, where none does: one that starts again takes a minute or two."""
    refit_again: float = 600.0
    """Before workers are started again with an adapter that one did not come up with."""
    load_first: float = 5.0
    """Before a load that failed is tried again; doubled each time."""
    load_longest: float = 20.0
    follow_every: float = 0.5
    """Between two looks at what other hosts have done with adapters that all share."""
    attend_every: float = 0.5
    """Between two looks at the models on demand; one that is asked for is looked at at once."""
    adapters: Bounds = field(default_factory=Bounds)
    thrift: Thrift = field(default_factory=Thrift)
    limits: Limits = field(default_factory=Limits)

    def prepare_again(self, failures: int) -> float:
        """The wait after so many failures in a row."""
        return min(self.prepare_first * 2.0 ** (failures - 1), self.prepare_longest)

    def admit_again(self, failures: int) -> float:
        """The same for a model that had no room."""
        return min(self.prepare_again(failures), self.admit_longest)

    def load_again(self, failures: int) -> float:
        """The wait for an adapter that could not be loaded so often on a worker."""
        return min(self.load_first * 2.0 ** (failures - 1), self.load_longest)
