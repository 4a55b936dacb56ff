"""Several revisions behind one name: who gets which, and what the supervisor is told of how they do."""

from __future__ import annotations

import asyncio
from collections import Counter

import msgspec
import pytest

from gateway.trials import Trials
from registry.adapter_orders import Seen, Tried
from registry.adapters import AdapterView, Canary, Share, encode
from registry.snapshot import Names
from tests.unit.gateway.builders import exchange, jumping, model_view, scope, snapshot
from tests.waiting import eventually

A, B = "a" * 64, "b" * 64
SPLIT = Canary((Share(A, 1), Share(B, 1)), max_error_rate=0.5, min_requests=4)


class Desk:
    """Names of a snapshot, and what the supervisor is told."""

    def __init__(self, canary=SPLIT, chance=0.5):
        self.draws = iter(())
        self.chance = chance
        self.trials = Trials(lambda: next(self.draws, self.chance))
        self.show(canary)

    def show(self, canary, revisions=(A, B)):
        view = AdapterView("m", "cat", A, revisions, canary=canary)
        self.names = Names(snapshot(model_view(adapter_slots=4), adapters=msgspec.Raw(encode([view]))))

    def asked(self, name="m:cat", headers=(), **body):
        return self.trials.allot(self.names.resolve(name), msgspec.json.encode(body), scope(headers=headers))

    def over(self, revision=B, **changed):
        self.trials.settle(exchange(model="m", adapter="cat", revision=revision[:16], **{"status": 200, **changed}))


STICKY = [
    lambda user: {"user": user},
    lambda user: {"safety_identifier": user},
    lambda user: {"headers": [(b"x-session-id", user.encode())]},
]


@pytest.mark.parametrize("said", STICKY)
def test_a_user_stays_with_one_revision(said):
    """Whichever way it is named; and users are told apart."""
    desk = Desk()
    first = [desk.asked(**said(f"u{number}")).digest for number in range(50)]
    assert first == [desk.asked(**said(f"u{number}")).digest for number in range(50)]
    assert set(first) == {A, B}


def test_who_says_nothing_is_allotted_by_chance():
    desk = Desk()
    desk.draws = iter([number / 200 for number in range(200)])
    counts = Counter(desk.asked().digest for _ in range(200))
    assert min(counts[A], counts[B]) > 60


@pytest.mark.parametrize("user", [None, "", 5, [], {"a": 1}, "x" * 10_000, "\x00", "\u0441"])
def test_any_word_for_the_user_is_taken(user):
    assert Desk().asked(user=user).digest in {A, B}


def test_the_engine_is_asked_for_that_revision():
    target = Desk(Canary((Share(B, 1),))).asked()
    assert (target.needs, target.served_name, target.requested) == (f"m:cat@{B[:16]}", f"m:cat@{B[:16]}", "m:cat")


def test_who_names_a_revision_gets_it():
    assert Desk(Canary((Share(B, 1),))).asked("m:cat@aaaaaaaa").digest == A


def test_a_revision_that_is_gone_is_not_asked_for():
    desk = Desk()
    desk.show(Canary((Share(B, 1),)), revisions=(A,))
    assert desk.asked().digest == A


def test_the_supervisor_is_told_once_how_each_revision_did():
    """By whole digests; how requests of one gateway alone went decides nothing here."""
    desk = Desk()
    desk.asked()
    for _ in range(6):
        desk.over(code="worker_failed", status=502)
    desk.over(A, first_token=100.5, started=100.0)
    seen = {B: Seen(6, 6), A: Seen(1, 0, (0.5,))}
    assert list(desk.trials.reports()) == [Tried("m", "cat", SPLIT, seen)]
    assert list(desk.trials.reports()) == []
    desk.over(A)
    assert [each.revisions for each in desk.trials.reports()] == [{A: Seen(1)}]


def test_the_clients_own_errors_do_not_count():
    desk = Desk()
    desk.asked()
    for status, code in [(400, "x"), (404, "x"), (429, "queue_full"), (499, "client_gone")] * 10:
        desk.over(code=code, status=status)
    assert list(desk.trials.reports()) == []


def test_another_split_begins_from_nothing():
    desk = Desk()
    desk.asked()
    desk.over(code="worker_failed", status=502)
    desk.show(other := msgspec.structs.replace(SPLIT, min_requests=3))
    desk.asked()
    desk.over()
    assert list(desk.trials.reports()) == [Tried("m", "cat", other, {B: Seen(1)})]


def test_after_its_end_nothing_is_told():
    desk = Desk()
    desk.asked()
    desk.show(None)
    desk.asked()
    desk.over(code="worker_failed", status=502)
    assert list(desk.trials.reports()) == []


@jumping
async def test_reports_go_out_by_themselves_and_not_one_for_each_request():
    desk, told = Desk(), []
    desk.asked()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(desk.trials.run(told.append))
        for _ in range(3):
            desk.over()
        await eventually(lambda: told)
        running.cancel()
    assert told == [Tried("m", "cat", SPLIT, {B: Seen(3)})]


def test_a_share_of_the_requests_has_a_shadow():
    """In parts of a hundred, by chance; never one that names its revision."""
    desk = Desk(Canary((Share(A, 1),), shadow=Share(B, 10)))
    target = desk.asked()
    desk.draws = iter([0.0, 0.0999, 0.1, 0.9])
    shadows = [desk.trials.shadow(target) for _ in range(4)]
    assert [each and each.digest for each in shadows] == [B, B, None, None]
    desk.chance = 0.0
    assert desk.trials.shadow(desk.asked("m:cat@aaaaaaaa")) is None
