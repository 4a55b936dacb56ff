"""The policies on simulated workers: many chats that share system prompts, and caches that are too small for all.

A worker reads what of a prompt is not in its cache (an LRU over blocks, as vLLM's), then writes; both take time.
"""

from __future__ import annotations

import heapq
import json
import random
from collections import OrderedDict
from functools import cache

from gateway.balance.policies import POLICIES
from gateway.balance.prefix import Prefix

SYSTEMS, USERS, TURNS, WORKERS = 6, 48, 6, 4
CACHE = 700
"""Blocks of 64 bytes that a worker keeps: about a quarter of what all chats hold at their ends."""


class Worker:
    def __init__(self):
        self.cache = OrderedDict()
        self.open = self.most = self.served = self.hit = self.seen = 0

    def read(self, prompt):
        """Seconds until the answer is complete: one for each 64 blocks that are not cached, and one for writing."""
        blocks = [hash(prompt[:end]) for end in range(64, len(prompt), 64)]
        known = next((at for at, block in enumerate(blocks) if block not in self.cache), len(blocks))
        for block in reversed(blocks):
            self.cache[block] = None
            self.cache.move_to_end(block)
        while len(self.cache) > CACHE:
            self.cache.popitem(last=False)
        self.hit, self.seen, self.served = self.hit + known, self.seen + len(blocks), self.served + 1
        return 1.0 + (len(blocks) - known) / 64


@cache
def simulated(policy_name):
    """(Hit rate, the greatest share of all requests that one worker had, the mean seconds of an answer)."""
    source, workers = random.Random(7), {f"w{number}": Worker() for number in range(WORKERS)}
    policy = POLICIES[policy_name](source.random)
    systems = ["".join(source.choices("abcdefgh ", k=2500)) for _ in range(SYSTEMS)]
    chats = [[systems[user % SYSTEMS]] for user in range(USERS)]
    events = [(source.random() * 20, user, "", 0) for user in range(USERS)]
    heapq.heapify(events)
    total = 0.0
    while events:
        now, user, worker, turn = heapq.heappop(events)
        if worker:  # an answer is complete; its user thinks, then goes on
            workers[worker].open -= 1
            if turn < TURNS:
                heapq.heappush(events, (now + source.random() * 8, user, "", turn))
            continue
        chats[user].append("".join(source.choices("abcdefgh ", k=400)))
        prompt = json.dumps(chats[user])
        loads = {name: each.open + 1.0 for name, each in workers.items()}
        chosen = policy.choose(loads, Prefix("m", json.dumps({"messages": chats[user]}).encode()), now).worker
        workers[chosen].open += 1
        took = workers[chosen].read(prompt) * (1 + workers[chosen].open / 8)
        total += took
        heapq.heappush(events, (now + took, user, chosen, turn + 1))
    hits = sum(each.hit for each in workers.values()) / sum(each.seen for each in workers.values())
    return hits, max(each.served for each in workers.values()) / (USERS * TURNS), total / (USERS * TURNS)


def test_affinity_finds_more_cached_than_any_policy_that_does_not_look():
    hits = {name: simulated(name)[0] for name in POLICIES}
    assert hits["prefix_affinity"] > max(hits["round_robin"], hits["least_loaded"]) + 0.15, hits


def test_affinity_keeps_the_load_within_bounds():
    """A fair share is a quarter."""
    assert simulated("prefix_affinity")[1] < 0.35


def test_affinity_answers_sooner():
    assert simulated("prefix_affinity")[2] < min(simulated("round_robin")[2], simulated("least_loaded")[2])
