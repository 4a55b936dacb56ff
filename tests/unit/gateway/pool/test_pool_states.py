"""The pool under any sequence of asking, releasing, leaving and new snapshots: its counts and its queue stay true."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gateway.balance.policies import POLICIES
from gateway.balance.prefix import Prefix
from gateway.errors import GatewayError
from gateway.pool.lease import Outcome
from gateway.pool.pool import Pool
from registry.snapshot import QueueLimits, WorkerState
from tests.unit.gateway.builders import Clock, JumpingLoop, model_view, turns, worker_view

NAMES = ("a", "b", "c")
STATES = st.sampled_from([WorkerState.READY, WorkerState.READY, WorkerState.UNHEALTHY])
WORKERS = st.dictionaries(st.sampled_from(NAMES), st.tuples(STATES, st.integers(1, 2)))
BALANCE = st.sampled_from(sorted(POLICIES))
PREFIX = Prefix("m", b'{"prompt": "%b"}' % (b"x" * 2000))
LIMIT = 4


class PoolStates(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.loop = JumpingLoop()
        self.requests = []
        """Every request that was not refused and has not ended: (task, excluded)."""
        self.order = []

    @initialize(workers=WORKERS, balance=BALANCE)
    def begin(self, workers, balance):
        self.balance = balance
        self.pool = Pool(self.view(workers), Clock())
        self.update(workers)

    def view(self, workers):
        views = [worker_view(name, state=state, capacity=size) for name, (state, size) in workers.items()]
        return model_view(*views, queue=QueueLimits(limit=LIMIT, wait=1e9), balance=self.balance)

    def settle(self):
        self.loop.run_until_complete(turns(20))
        for task, _ in self.requests:
            assert not task.done() or task.cancelled() or not task.exception() or self.is_ours(task.exception())
        self.requests = [
            each for each in self.requests if not (each[0].done() and (each[0].cancelled() or each[0].exception()))
        ]

    def is_ours(self, fault):
        return isinstance(fault, GatewayError)

    @rule(workers=WORKERS, balance=BALANCE)
    def update(self, workers, balance=None):
        self.balance = balance or self.balance
        self.pool.update(self.view(workers))
        self.settle()

    @rule(exclude=st.frozensets(st.sampled_from(NAMES), max_size=2), at_once=st.booleans())
    def ask(self, exclude, at_once):
        lease = self.pool.lease(exclude, prefix=PREFIX)
        self.requests.append((self.loop.create_task(lease), exclude))
        if not at_once:
            self.settle()

    @rule(data=st.data(), outcome=st.sampled_from([Outcome.WORKED, Outcome.UNKNOWN]), at_once=st.booleans())
    def release(self, data, outcome, at_once):
        held = [each for each in self.requests if each[0].done()]
        if held:
            self.settle()
            ended = data.draw(st.sampled_from(held))
            ended[0].result().release(outcome)
            self.requests.remove(ended)
            if not at_once:
                self.settle()

    @rule(data=st.data())
    def leave(self, data):
        if self.requests:
            gone = data.draw(st.sampled_from(self.requests))
            if not gone[0].done():
                gone[0].cancel()
        self.settle()

    @invariant()
    def counts_are_the_open_leases(self):
        self.settle()
        open_leases = [task.result().worker for task, _ in self.requests if task.done()]
        assert self.pool.active == len(open_leases)
        for worker in self.pool._workers.values():
            assert worker.inflight == open_leases.count(worker)

    @invariant()
    def nobody_waits_while_a_worker_is_free(self):
        waiting = [exclude for task, exclude in self.requests if not task.done()]
        assert self.pool.waiting == len(waiting)
        for exclude in waiting:
            assert not any(worker.free() for worker in self.pool._candidates(exclude))

    def teardown(self):
        for task, _ in self.requests:
            task.cancel()
        self.loop.run_until_complete(turns(20))
        self.loop.close()


PoolStates.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestPoolStates = PoolStates.TestCase
