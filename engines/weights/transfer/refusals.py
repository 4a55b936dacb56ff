"""What a server's refusal means and what to do about it. Pure. Called by `web`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from engines.weights.failures import FetchFailed

_PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_PATIENCE: Final = 300.0
"""Longest `Retry-After` that is waited for, in seconds."""


class Broken(Exception):
    """An attempt failed in a way that may pass. `after`: seconds that the server wants to be left alone."""

    def __init__(self, message: str, after: float = 0.0) -> None:
        super().__init__(message)
        self.after: Final = after


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is needed to explain one: what was asked for, and where a token would come from."""

    what: str
    token_sent: bool = False
    variable: str = ""
    """The variable that people of this hub keep their token in."""
    page: str = ""
    """Where terms are accepted."""
    advice: str = ""
    """What to do, where a token is not the answer."""


def refusal(status: int, headers: Mapping[str, str], where: str, wish: Refusal) -> FetchFailed | Broken:
    """The error that says it. `where` is the address without its query."""
    if status in _PASSING:
        return _passing(status, headers, where)
    if status == 401:
        return FetchFailed(f"{wish.what}: {where} wants to know who asks (401). {_token(wish)}")
    if status == 403:
        terms = f", or accept its terms on {wish.page} if it is gated" if wish.page else ""
        return FetchFailed(f"{wish.what}: {where} refuses (403). {_token(wish)}{terms}")
    if status in {404, 410}:
        hidden = "" if wish.token_sent or not wish.variable else "; a private one is also hidden without a token"
        return FetchFailed(
            f"{wish.what}: {where} is not there ({status}). Check the spelling and the revision in `source`{hidden}"
        )
    return FetchFailed(f"{wish.what}: {where} answered {status}. Check that this is the address of the weights")


def _passing(status: int, headers: Mapping[str, str], where: str) -> FetchFailed | Broken:
    after = retry_after(headers.get("retry-after", ""))
    if after > _PATIENCE:
        return FetchFailed(
            f"{where} answered {status} and wants to be left alone for {after:.0f} s: run it again then; what is here "
            "already is kept"
        )
    return Broken(f"{where} answered {status}", after)


def retry_after(value: str) -> float:
    """Seconds; 0 for what is no number (a date would need the server's clock)."""
    return float(value) if value.isascii() and value.isdigit() and len(value) <= 9 else 0.0


def _token(wish: Refusal) -> str:
    if wish.advice:
        return wish.advice
    if wish.token_sent:
        return "The token that was sent does not open it: check what it may read, and that it has not expired"
    name = wish.variable or "NAME"
    return f"Set ${name} to a token that may read it and write `token: ${{env:{name}}}` into the model's entry"
