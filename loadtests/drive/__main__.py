"""`make loadtest`, or `python -m loadtests.drive`: Locust, headless, against a house of our own or against HOST.

Reads USERS, SPAWN_RATE, RUN_TIME, MODEL, HOST and the rest of docs/load-testing.md from its environment. Status 0:
within the limits; 1: a limit is broken; 2: there is nothing to test, or a variable makes no sense; 130: interrupted
before there was anything to judge. `--install` only installs Locust.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Final

from rich.console import Console

from cli.folders import cache_folder
from cli.show import showing
from engines.environments.environment import EnvironmentFailed, ensure
from loadtests.drive.house import ROOT, child, served
from loadtests.drive.plan import Plan, locust_words, read_plan
from loadtests.users.models import choose_model
from loadtests.users.settings import Mistaken

CATALOGUE: Final = {"locust": Path(__file__).parent / "locust.txt"}
"""An environment of its own: gevent rewrites the standard library, and neither gateway nor tests should see that."""
_INTERRUPTED: Final = 130


def main(words: list[str], env: Mapping[str, str]) -> int:
    """The whole run; the exit status."""
    signal.signal(signal.SIGTERM, _leave)
    try:
        if words == ["--install"]:
            installed(env)
            return 0
        plan = read_plan(env)
        if plan.host:
            choose_model(plan.host, plan.settings)  # before anything is installed: a typing error costs no minute
            return run(plan, plan.host, installed(env), env)
        python = installed(env)
        with served(plan.registry, env) as host:
            return run(plan, host, python, env)
    except Mistaken as mistaken:
        sys.stderr.write(f"loadtest: {mistaken}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("\nloadtest: interrupted\n")
        return _INTERRUPTED


def installed(env: Mapping[str, str]) -> Path:
    """The Python that has Locust, installed with progress where it is not there yet."""
    with showing(Console(stderr=True)) as report:
        try:
            return asyncio.run(ensure("locust", cache_folder(None, env), report, catalogue=CATALOGUE)).python
        except EnvironmentFailed as failed:
            raise Mistaken(str(failed)) from None


def run(plan: Plan, host: str, python: Path, env: Mapping[str, str]) -> int:
    """Locust's own exit status. An interrupt is Locust's to answer: it prints its tables, and then we go too."""
    told = f"{plan.users} users for {plan.run_time} against {host}"
    sys.stdout.write(f"loadtest: {told}\n")
    sys.stdout.flush()
    words = [str(python), "-m", "locust", *locust_words(plan, host, ROOT / "loadtests/locustfile.py")]
    with child(words, env, merge=True) as locust:  # Locust writes its tables to stderr
        while True:
            try:
                return locust.wait()
            except KeyboardInterrupt:
                continue


def _leave(number: int, _: FrameType | None) -> None:
    """SIGTERM ends everything in order, as a program's end does."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
