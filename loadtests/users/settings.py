"""What a load test is told by its environment: model, key, limits. Read once, by the driver and by the locustfile."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

_TIME: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s)")


class Mistaken(Exception):
    """A setting, or the server, with which no load test can begin; one sentence for the person who asked."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run must keep to; None: not asked for. Times in milliseconds, as Locust's tables have them."""

    fail_ratio: float = 0.0
    ttft_p95: float | None = None
    p95: float | None = None
    tokens_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """How users behave."""

    model: str = ""
    """Empty: the first that the server lists."""
    key: str = field(default="", repr=False)
    seed: int = 0
    max_tokens: int = 64
    timeout: float = 60.0
    """Seconds of silence after which a user gives an answer up."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """More fields of every request body."""
    limits: Limits = Limits()


def read_settings(env: Mapping[str, str]) -> Settings:
    """The settings in `env`; an empty variable is one that is not set. Raises `Mistaken` with all that is wrong."""
    reader = _Reader(env)
    settings = Settings(
        model=reader.text("MODEL"),
        key=reader.text("OPENAI_API_KEY") or reader.text("API_KEY"),
        seed=int(reader.number("SEED", 0)),
        max_tokens=int(reader.number("MAX_TOKENS", 64, least=1)),
        timeout=(reader.duration("TIMEOUT") or 60_000.0) / 1000,
        extra=reader.fields("EXTRA"),
        limits=Limits(
            fail_ratio=reader.number("MAX_FAIL_RATIO", 0.0, most=1),
            ttft_p95=reader.duration("MAX_TTFT_P95"),
            p95=reader.duration("MAX_P95"),
            tokens_per_second=reader.number("MIN_TOKENS_PER_SECOND", 0.0) or None,
        ),
    )
    if reader.faults:
        raise Mistaken("; ".join(reader.faults))
    return settings


class _Reader:
    """Invariant: what cannot be read is in `faults`, under the variable's name."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.faults: Final[list[str]] = []
        self._env: Final = env

    def text(self, name: str) -> str:
        return self._env.get(name, "").strip()

    def number(self, name: str, default: float, least: float = 0, most: float = 1e12) -> float:
        said = self.text(name)
        if not said:
            return default
        try:
            value = float(said)
        except ValueError:
            value = float("nan")
        if least <= value <= most:
            return value
        bound = f" between {least:g} and {most:g}" if most < 1e12 else f" of at least {least:g}"
        self.faults.append(f"{name}={said} is not a number{bound}")
        return default

    def duration(self, name: str) -> float | None:
        """In milliseconds. A number without a unit is refused: seconds taken for milliseconds would always pass."""
        said = self.text(name)
        if not said:
            return None
        if found := _TIME.fullmatch(said):
            return float(found[1]) * (1 if found[2] == "ms" else 1000)
        self.faults.append(f"{name}={said} is not a time: say 500ms or 2s")
        return None

    def fields(self, name: str) -> Mapping[str, Any]:
        said = self.text(name)
        try:
            found = json.loads(said or "{}")
        except ValueError:
            found = None
        if isinstance(found, dict):
            return found
        self.faults.append(f"{name}={said} is not a JSON object")
        return {}
