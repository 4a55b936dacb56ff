"""The load of the routing benchmark: the same for every policy, and nothing cached from the trial before."""

from __future__ import annotations

from itertools import pairwise

from gateway.balance.prefix import cut
from loadtests.routing.chats import Shape, chats

SHAPE = Shape(users=30)


def unsalted(load, salt):
    return [(chat.system.removeprefix(salt), chat.questions, chat.pauses) for chat in load]


def test_every_policy_gets_the_same_chats_but_for_the_salt():
    one, other = chats(SHAPE, 1, "one"), chats(SHAPE, 1, "other")
    assert unsalted(one, "one") == unsalted(other, "other")


def test_two_trials_share_no_prefix():
    one, other = (cut("m", f'{{"prompt": "{chats(SHAPE, 1, salt)[0].system}"}}'.encode()) for salt in ("one", "other"))
    assert (len(one) > 8, set(one) & set(other)) == (True, set())


def test_users_share_system_prompts_and_arrive_one_after_the_other():
    load = chats(SHAPE, 1, "")
    arrivals = [chat.pauses[0] for chat in load]
    assert len({chat.system for chat in load}) == SHAPE.systems
    assert all(earlier < later for earlier, later in pairwise(arrivals))


def test_every_user_has_all_turns():
    assert {(len(chat.questions), len(chat.pauses)) for chat in chats(SHAPE, 1, "")} == {(SHAPE.turns, SHAPE.turns)}
