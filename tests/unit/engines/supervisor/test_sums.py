"""The host's sum: asked of all gateways, in bounded time, and never less than before."""

from __future__ import annotations

from collections.abc import Callable

from engines.supervisor.sums import Sums
from registry.figures import Count, Counted, Family, Series, Summed


def figures(requests: float, inflight: float = 0) -> tuple[Family, ...]:
    return (
        Family("requests", "", "counter", series=(Series((), (requests,)),)),
        Family("inflight", "", "gauge", series=(Series((), (inflight,)),)),
    )


def said(summed: Summed) -> dict[str, float]:
    return {family.name: family.series[0].values[0] for family in summed.families}


class Gateway:
    """Answers at once with what it has counted, unless it hangs."""

    def __init__(self, sums: Sums, requests: float = 0, inflight: float = 0) -> None:
        self.sums, self.requests, self.inflight, self.hangs = sums, requests, inflight, False
        self.instead: Callable[[], None] = lambda: None
        sums.joined(self, self.asked)

    def asked(self, question: Count) -> None:
        self.instead()
        if not self.hangs:
            self.say(question.number)

    def say(self, number: int = 0) -> None:
        self.sums.counted(self, Counted(number, figures(self.requests, self.inflight)))


async def test_all_are_asked_and_added():
    sums = Sums()
    _, _ = Gateway(sums, 2, 1), Gateway(sums, 3, 4)
    summed = await sums.ask()
    assert (said(summed), summed.now, summed.earlier) == ({"requests": 5, "inflight": 5}, 2, 0)


async def test_without_a_gateway_the_sum_is_empty():
    assert await Sums().ask() == Summed()


async def test_who_does_not_answer_counts_with_what_he_said_last():
    """And a sum is given all the same."""
    sums = Sums(within=0.01)
    first, second = Gateway(sums, 2), Gateway(sums, 3)
    await sums.ask()
    first.requests, second.requests, second.hangs = 10, 20, True
    summed = await sums.ask()
    assert (said(summed)["requests"], summed.now, summed.earlier) == (13, 1, 1)


async def test_who_has_never_answered_is_not_counted():
    sums = Sums(within=0.01)
    Gateway(sums, 2).hangs = True
    summed = await sums.ask()
    assert (summed.families, summed.now, summed.earlier) == ((), 0, 0)


async def test_an_answer_to_an_earlier_question_is_not_one_to_this():
    sums = Sums(within=0.01)
    gateway = Gateway(sums, 2)
    await sums.ask()
    gateway.hangs = True
    gateway.instead = lambda: gateway.say(1)
    summed = await sums.ask()
    assert (summed.now, summed.earlier) == (0, 1)


async def test_a_gateway_that_ends_takes_only_its_open_requests_with_it():
    """Its successor begins at zero, and the sum goes on."""
    sums = Sums()
    gateway = Gateway(sums, 5, inflight=2)
    await sums.ask()
    sums.ended(gateway)
    assert said(await sums.ask()) == {"requests": 5}
    Gateway(sums, 1)
    assert said(await sums.ask()) == {"requests": 6, "inflight": 0}


async def test_the_last_word_of_a_gateway_is_in_the_sum():
    sums = Sums()
    gateway = Gateway(sums, 5)
    gateway.say()
    sums.ended(gateway)
    assert said(await sums.ask()) == {"requests": 5}


async def test_one_that_ends_while_it_is_asked_is_not_waited_for():
    sums = Sums(within=3600)
    gateway = Gateway(sums, 5)
    await sums.ask()
    gateway.hangs = True
    gateway.instead = lambda: sums.ended(gateway)
    assert said(await sums.ask()) == {"requests": 5}


async def test_one_that_comes_while_others_are_asked_is_not_waited_for():
    sums = Sums(within=3600)
    gateway = Gateway(sums, 5)
    gateway.instead = lambda: setattr(Gateway(sums), "hangs", True)
    assert said(await sums.ask())["requests"] == 5


async def test_the_sum_never_falls():
    """Whatever a gateway says: Prometheus takes a fall for a new start."""
    sums = Sums()
    gateway = Gateway(sums, 5)
    await sums.ask()
    gateway.requests = 4
    assert said(await sums.ask())["requests"] == 5


async def test_who_is_no_gateway_counts_nothing():
    """A client of the control socket that never said that it is one."""
    sums = Sums()
    sums.counted(object(), Counted(0, figures(9)))
    sums.ended(object())
    assert await sums.ask() == Summed()
