"""The portable path: the same promises are kept where no wire is known and every answer goes through ASGI's `send`.

The tests are the ones of the wire path, run again in front of a gateway with `--portable`: the fixture below takes the
place of the one that they were written for.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import processes
from tests.contract.test_openai_client import *  # noqa: F403 (the tests themselves)
from tests.faults.stage import Pair, bugs
from tests.faults.test_client_hostile import (  # noqa: F401 (tests)
    test_a_bad_request_does_not_spoil_the_answer_before_it,
    test_a_broken_stream_leaves_its_connection_usable,
    test_a_client_that_resets_at_any_event_of_its_answer_leaves_nothing,
    test_a_client_that_waits_for_100_continue_gets_it,
    test_a_request_behind_a_stream_waits_for_its_end,
    test_an_offer_to_upgrade_is_passed_over,
    test_hundreds_of_pipelined_requests_are_answered_in_order,
    test_pipelined_requests_are_answered_in_order,
)
from tests.faults.test_cut_everywhere import (  # noqa: F401 (a test and its fixtures)
    others,
    test_the_openai_client_raises_or_has_it_all,
    workers,
)
from tests.faults.test_worker_lies import (  # noqa: F401 (tests)
    test_what_breaks_in_mid_stream_is_told_once,
    test_what_is_no_answer_is_a_502,
    test_what_is_only_unusual_is_relayed_whole,
)
from tests.processes import FakeWorker, Gateway, model
from tests.stories.test_disconnect import *  # noqa: F403 (the tests themselves)


@pytest.fixture(scope="module")
def module_gateway(module_worker: FakeWorker) -> Iterator[Gateway]:
    """In the place of the ordinary one."""
    with processes.short_folder() as folder, processes.gateway(folder, "--portable") as started:
        started.publish(model(module_worker))
        yield started


@pytest.fixture(scope="module")
def module_pair(module_gateway: Gateway, module_worker: FakeWorker) -> Iterator[Pair]:
    """In the place of the ordinary one."""
    with processes.fake_worker() as second:
        yield Pair(module_gateway, module_worker, second)


def test_the_wire_is_really_off(gateway: Gateway):
    """Or all of the above has tested the same path twice."""
    assert "--portable" in gateway.process.args
    assert bugs(gateway) == ""
