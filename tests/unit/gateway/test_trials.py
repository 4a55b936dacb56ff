"""Several revisions behind one name: who gets which, what is counted, and its one end."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest

from gateway.trials import Trials
from registry.adapter_orders import SplitAdapter
from registry.adapters import AdapterView, Canary, Share, encode
from registry.snapshot import Names
from tests.unit.gateway.builders import exchange, model_view, scope, snapshot

A, B = "a" * 64, "b" * 64
SPLIT = Canary((Share(A, 1), Share(B, 1)), max_error_rate=0.5, min_requests=4)


class Desk:
    """Names of a snapshot, and what the supervisor was asked to end."""

    def __init__(self, canary=SPLIT, chance=0.5):
        self.ended = []
        self.draws = iter(())
        self.chance = chance
        self.trials = Trials(self.ended.append, lambda: next(self.draws, self.chance))
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


def test_too_many_errors_end_it_once_and_at_once():
    """Those that come before the supervisor has heard of it get the present revision."""
    desk = Desk(msgspec.structs.replace(SPLIT, split=(Share(B, 1),)))
    desk.asked()
    for _ in range(6):
        desk.over(code="worker_failed", status=502)
    why = f"4 of 4 requests failed on {B[:16]}"
    assert desk.ended == [SplitAdapter("m", "cat", "gateway", None, why)]
    assert desk.asked().digest == A


def test_the_clients_own_errors_do_not_count():
    desk = Desk()
    desk.asked()
    for status, code in [(400, "x"), (404, "x"), (429, "queue_full"), (499, "client_gone")] * 10:
        desk.over(code=code, status=status)
    assert desk.ended == []


def test_another_split_begins_from_nothing():
    desk = Desk()
    desk.asked()
    for _ in range(3):
        desk.over(code="worker_failed", status=502)
    desk.show(msgspec.structs.replace(SPLIT, min_requests=3))
    desk.asked()
    desk.over(code="worker_failed", status=502)
    assert desk.ended == []


def test_after_its_end_nothing_is_judged():
    desk = Desk()
    desk.asked()
    desk.show(None)
    desk.asked()
    for _ in range(10):
        desk.over(code="worker_failed", status=502)
    assert desk.ended == []


def test_a_share_of_the_requests_has_a_shadow():
    """In parts of a hundred, by chance; never one that names its revision."""
    desk = Desk(Canary((Share(A, 1),), shadow=Share(B, 10)))
    target = desk.asked()
    desk.draws = iter([0.0, 0.0999, 0.1, 0.9])
    shadows = [desk.trials.shadow(target) for _ in range(4)]
    assert [each and each.digest for each in shadows] == [B, B, None, None]
    desk.chance = 0.0
    assert desk.trials.shadow(desk.asked("m:cat@aaaaaaaa")) is None
