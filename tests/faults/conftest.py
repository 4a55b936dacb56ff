"""Fixtures of the fault tests: two workers behind a gateway, and the table of what was measured on the way."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

import pytest

from tests import processes
from tests.faults.stage import Measure, Pair
from tests.processes import FakeWorker, Gateway

_MEASURED: Final = pytest.StashKey[list[tuple[str, str, float]]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_MEASURED] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """`make faults-report`: the measured times by row of the fault matrix. They are told, never asserted."""
    rows = sorted(config.stash.get(_MEASURED, []), key=lambda each: (int(each[0].split()[0]), each[0]))
    if not rows:
        return
    terminalreporter.section("faults: measured on this machine")
    for row, what, seconds in rows:
        terminalreporter.write_line(f"  row {row:<4} {what:<66} {seconds * 1e3:>10.1f} ms")


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Measure:
    """Notes a time (seconds) for the report."""
    return lambda row, what, seconds: request.config.stash[_MEASURED].append((row, what, seconds))


@pytest.fixture(scope="module")
def module_pair() -> Iterator[Pair]:
    with contextlib.ExitStack() as opened:
        first, second = (opened.enter_context(processes.fake_worker()) for _ in range(2))
        gateway = opened.enter_context(processes.gateway(opened.enter_context(processes.short_folder())))
        yield Pair(gateway, first, second)


@pytest.fixture
def pair(module_pair: Pair) -> Pair:
    """Two workers that behave well until the test says otherwise; both serve `small`."""
    module_pair.first.script()
    module_pair.second.script()
    _forget(module_pair.gateway)
    module_pair.publish()
    return module_pair


@pytest.fixture
def doomed() -> Iterator[FakeWorker]:
    """A worker of one's own, to be killed."""
    with processes.fake_worker() as started:
        yield started


def _forget(gateway: Gateway) -> None:
    """An empty snapshot between two tests: what a gateway held against a worker goes with the worker."""
    gateway.publish()
