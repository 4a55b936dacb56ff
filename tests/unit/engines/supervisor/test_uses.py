"""How much a model is used, over all gateways."""

from __future__ import annotations

import pytest

from engines.supervisor.uses import Used, Uses
from registry.orders import Use


class Told:
    """What gateways said, by a clock that the test moves."""

    def __init__(self):
        self.now = 100.0
        self.uses = Uses(lambda: self.now)

    def say(self, gateway="g", **use):
        return self.uses.report(gateway, {"m": Use(**use)})

    @property
    def used(self):
        return self.uses.of("m")


def test_of_a_model_that_nobody_spoke_of_nothing_is_known():
    assert Told().used == Used()


@pytest.mark.parametrize("use", [{"active": 1}, {"waiting": 2}])
def test_a_request_anywhere_makes_it_busy(use):
    told = Told()
    told.say("a", **use)
    told.say("b")
    assert (told.used.busy, told.used.waiting, told.used.last) == (True, use.get("waiting", 0), 100.0)


def test_the_last_request_of_all_gateways_counts():
    """Gateways have clocks of their own, so they say how long ago it was."""
    told = Told()
    told.say("a", quiet=30.0)
    told.say("b", quiet=5.0)
    told.say("a", quiet=31.0)
    assert told.used == Used(last=95.0)


def test_a_gateway_that_is_gone_has_no_requests():
    told = Told()
    told.say(active=1)
    told.uses.ended("g")
    assert told.used == Used(last=100.0)


def test_who_did_not_wait_is_remembered():
    told = Told()
    assert told.say(asked=True)
    told.now = 107.0
    assert not told.say()
    assert (told.used.busy, told.used.asked) == (False, 100.0)
