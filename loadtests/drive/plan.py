"""A load test as its variables describe it, and Locust's command line for it. Pure; called by `__main__`."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loadtests.users.settings import Mistaken, Settings, read_settings

_RUN_TIME: Final = re.compile(r"\d+|(?=.)(\d+h)?(\d+m)?(\d+s)?")
"""As Locust spells it: 90, 90s, 5m, 1h30m."""
_LAST_WORDS: Final = 5
"""Seconds that a user who gives up an answer has to tell so, before Locust ends him."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run. `host` empty: a house of our own."""

    host: str
    registry: Path
    users: int
    spawn_rate: float
    run_time: str
    report: Path | None
    more: tuple[str, ...]
    """Words for Locust itself: names of user classes, `--processes 2`, …"""
    settings: Settings


def read_plan(env: Mapping[str, str]) -> Plan:
    """The plan in `env`. Raises `Mistaken`."""

    def said(name: str, default: str) -> str:
        return env.get(name, "").strip() or default

    users, rate, run_time = said("USERS", "8"), said("SPAWN_RATE", said("USERS", "8")), said("RUN_TIME", "60s")
    if not re.fullmatch(r"[1-9]\d*", users):
        raise Mistaken(f"USERS={users} is not a number of users")
    if not re.fullmatch(r"\d+(\.\d+)?", rate) or not float(rate):
        raise Mistaken(f"SPAWN_RATE={rate} is not a number of users a second")
    if not _RUN_TIME.fullmatch(run_time):
        raise Mistaken(f"RUN_TIME={run_time} is not a time: say 90s or 5m")
    report = said("REPORT", "")
    return Plan(
        host=said("HOST", "").rstrip("/"),
        registry=Path(said("REGISTRY", "model_registry.yaml")),
        users=int(users),
        spawn_rate=float(rate),
        run_time=run_time,
        report=Path(report).absolute() if report else None,
        more=tuple(shlex.split(env.get("ARGS", ""))),
        settings=read_settings(env),
    )


def locust_words(plan: Plan, host: str, locustfile: Path) -> list[str]:
    """Locust's arguments. Users finish what they have begun, or give it up, so that no slow answer goes uncounted."""
    words = ["--locustfile", str(locustfile), "--headless", "--only-summary", "--loglevel", "WARNING"]
    words += ["--host", host, "--users", str(plan.users), "--spawn-rate", f"{plan.spawn_rate:g}"]
    words += ["--run-time", plan.run_time, "--stop-timeout", str(math.ceil(plan.settings.timeout) + _LAST_WORDS)]
    if plan.report:
        words += ["--csv", str(plan.report / "loadtest"), "--html", str(plan.report / "loadtest.html")]
    return [*words, *plan.more]
