"""Asks one worker over HTTP whether it lives and whether it generates. The one seam to httpx: its errors end here.

Used by `supervisor.worker` and `ledger.loading`. A question is answered with a `Verdict`, never with an exception.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import httpx

from engines.engine import HttpCall

_MODELS: Final = HttpCall("GET", "/v1/models")
_METRICS: Final = HttpCall("GET", "/metrics")
_OK: Final = 200
_NOT_FOUND: Final = 404
_LONGEST_BODY: Final = 200
"""Characters of an answer that a reason may hold."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a worker answered as it should; the reason in words where it did not. Invariant: never good and dead."""

    good: bool
    reason: str = ""
    dead: bool = False
    """Not slow, but gone for good if it was ever ready: nobody listens, or its engine has said so."""


@dataclass(frozen=True, slots=True)
class Listed:
    """What a worker says of its models in `/v1/models`."""

    names: tuple[str, ...] = ()
    context: int | None = None
    """Tokens that it takes, prompt and answer together, as vLLM tells them (`max_model_len`)."""
    adapters: tuple[str, ...] = ()
    """Those of the names that have a model below them."""


class Prober:
    """Invariant: holds no state but connections; any number of workers may share one."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client: Final = client

    async def health(
        self,
        url: str,
        key: str,
        call: HttpCall,
        *,
        within: float,
        dead: frozenset[int] = frozenset(),
        awake: Callable[[bytes], bool] = lambda _: True,
    ) -> Verdict:
        """Asks as the engine wants to be asked; a server without that path is asked for its models instead.

        `dead` are the statuses by which the engine says that it is; `awake` reads the body of a good answer.
        """
        answer = await self._ask(url, key, call, within)
        if isinstance(answer, httpx.Response) and answer.status_code == _NOT_FOUND:
            return _verdict(await self._ask(url, key, _MODELS, within), call.path, dead)
        verdict = _verdict(answer, call.path, dead)
        if verdict.good and isinstance(answer, httpx.Response) and not awake(answer.content):
            return Verdict(good=False, reason=f"{call.path} answered 200, but: {answer.text[:_LONGEST_BODY]}")
        return verdict

    async def warm_up(self, url: str, key: str, call: HttpCall, *, within: float) -> Verdict:
        """One real generation: an answer with something in it, not only a status."""
        answer = await self._ask(url, key, call, within)
        verdict = _verdict(answer, call.path)
        if verdict.good and isinstance(answer, httpx.Response) and not _generated(answer):
            return Verdict(good=False, reason=f"{call.path} answered 200 and no token: {answer.text[:_LONGEST_BODY]!r}")
        return verdict

    async def order(self, url: str, key: str, call: HttpCall, *, within: float) -> Verdict:
        """Has the worker do something; where it does not, with what it said about that."""
        answer = await self._ask(url, key, call, within)
        verdict = _verdict(answer, call.path)
        if verdict.good or isinstance(answer, Verdict):
            return verdict
        return Verdict(good=False, reason=f"{verdict.reason}: {_said(answer)}")

    async def answer(self, url: str, key: str, call: HttpCall, *, within: float) -> bytes | None:
        """The body of a good answer; None: there is none."""
        answer = await self._ask(url, key, call, within)
        return None if isinstance(answer, Verdict) or answer.status_code != _OK else answer.content

    async def metrics(self, url: str, key: str, *, within: float) -> str:
        """What the worker counts, as text; empty where it does not say."""
        answer = await self._ask(url, key, _METRICS, within)
        return "" if isinstance(answer, Verdict) or answer.status_code != _OK else answer.text

    async def listed(self, url: str, key: str, *, within: float) -> Listed:
        """What the worker says of its models; nothing where it does not."""
        answer = await self._ask(url, key, _MODELS, within)
        if isinstance(answer, Verdict) or answer.status_code != _OK:
            return Listed()
        try:
            cards: list[dict[str, Any]] = answer.json()["data"]
            lengths = [card["max_model_len"] for card in cards if isinstance(card.get("max_model_len"), int)]
            adapters = tuple(str(card["id"]) for card in cards if card.get("parent"))
            return Listed(tuple(str(card["id"]) for card in cards), min(lengths, default=None), adapters)
        except (ValueError, KeyError, TypeError, AttributeError):
            return Listed()

    async def _ask(self, url: str, key: str, call: HttpCall, within: float) -> httpx.Response | Verdict:
        """The answer, or why there is none."""
        headers = {"content-type": "application/json"} if call.body else {}
        if key:
            headers["authorization"] = f"Bearer {key}"
        try:
            return await self._client.request(
                call.method, url + call.path, content=call.body or None, headers=headers, timeout=within
            )
        except httpx.TimeoutException:
            return Verdict(good=False, reason=f"{call.path} did not answer within {within:g} s")
        except httpx.ConnectError as fault:
            if _refused(fault):
                return Verdict(good=False, reason="connection refused", dead=True)
            return Verdict(good=False, reason=f"no connection: {fault}")
        except httpx.HTTPError as fault:
            return Verdict(good=False, reason=f"{call.path}: {type(fault).__name__}: {fault}")


def client() -> httpx.AsyncClient:
    """For probing workers: direct (no proxy of the environment), and a fresh connection each time, as a client's is."""
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.AsyncClient(trust_env=False, follow_redirects=False, limits=limits)


def _refused(fault: BaseException | None) -> bool:
    """Whether it was the worker that did not want us. That we lack a descriptor is a `ConnectError` too."""
    while fault is not None:
        if isinstance(fault, ConnectionRefusedError):
            return True
        fault = fault.__cause__ or fault.__context__
    return False


def _verdict(answer: httpx.Response | Verdict, path: str, dead: frozenset[int] = frozenset()) -> Verdict:
    if isinstance(answer, Verdict):
        return answer
    if answer.status_code != _OK:
        reason = f"{path} answered {answer.status_code}"
        return Verdict(good=False, reason=reason, dead=answer.status_code in dead)
    return Verdict(good=True)


def _generated(answer: httpx.Response) -> bool:
    """Whether it is a completion, of whatever text: one token may be half a character."""
    try:
        choices = answer.json()["choices"]
        return bool(choices) and isinstance(choices[0].get("text", choices[0].get("message")), str | dict)
    except (ValueError, LookupError, TypeError, AttributeError):
        return False


def _said(answer: httpx.Response) -> str:
    """The message of an error as engines word it, or its text."""
    try:
        told = answer.json()
        said = told.get("error_message") or told.get("message") or told["error"]["message"]
    except (ValueError, LookupError, TypeError, AttributeError):
        said = answer.text
    return " ".join(str(said).split())[:_LONGEST_BODY]
