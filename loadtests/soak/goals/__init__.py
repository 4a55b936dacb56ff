"""What a long run has to show, one goal a file, by the name that `make soak GOAL=…` knows it by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from loadtests.soak.goals import idle, leak, leavers, malformed, reloads, steady, words
from loadtests.soak.goals.goal import Goal

GOALS: Final[Mapping[str, Goal]] = {
    "streams": Goal("2,000 streams at once, 5 tokens a second each, for 5 minutes", steady.streams),
    "killed": Goal("the same, while one of four workers is killed every 5 seconds", steady.killed),
    "idle": Goal("10,000 connections that say nothing, and 100 streams", idle.run),
    "leak": Goal("100,000 mixed requests, after as many that warm it up", leak.run),
    "leavers": Goal("10,000 clients that leave somewhere on the way", leavers.run),
    "malformed": Goal("100,000 requests that somebody has damaged", malformed.run),
    "reloads": Goal("1,000 reloads of the registry under 200 streams", reloads.run),
    "words": Goal("200 adapters loaded while they are asked for, on two real workers", words.run),
}
