"""pydantic's errors → sentences that an operator understands, each at its place. Called by `registry.load`.

Rules of our own (ValueError in `registry.spec`) never repeat the value; whether it may be shown is decided here.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from registry import later
from registry.cluster import RaySpec
from registry.document import Document, dotted
from registry.external import ExternalSpec
from registry.faults import Flaw, Place, quoted
from registry.replicas import ReplicasSpec
from registry.room import AdaptersSpec
from registry.sharing import StoreSpec
from registry.spec import ModelSpec, ParitySpec, QueueSpec, Registry, TimeoutsSpec

_SHAPES: Final[Mapping[str, type[BaseModel]]] = {
    "": Registry,
    "store": StoreSpec,
    "models.*": ModelSpec,
    "models.*.adapters": AdaptersSpec,
    "models.*.timeouts": TimeoutsSpec,
    "models.*.parity": ParitySpec,
    "models.*.queue": QueueSpec,
    "models.*.ray": RaySpec,
    "models.*.external": ExternalSpec,
    "models.*.replicas": ReplicasSpec,
}
_EXPECTED: Final[Mapping[str, str]] = {
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "string_type": "must be text",
    "dict_type": "must be a mapping (lines of 'key: value')",
    "mapping_type": "must be a mapping (lines of 'key: value')",
    "model_type": "must be a mapping (lines of 'key: value')",
    "model_attributes_type": "must be a mapping (lines of 'key: value')",
    "tuple_type": "must be a list",
}
_BY_LIMIT: Final[Mapping[str, str]] = {
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
}
_OPTION: Final = "models.*.options.*.*"
_CHECKED_WHOLE: Final = frozenset({"", "models.*", "models.*.options"})
"""Places whose rules `registry.load` applies itself, line by line, because they concern several fields at once."""
_SECRETIVE: Final = frozenset(
    {"models.*.urls", "models.*.urls.*", "models.*.token", "models.*.source", "models.*.external.key", "store.redis"}
)
"""Places that may hold a password or a token, by mistake."""
_KEY: Final = "[key]"


def flaws(error: ValidationError, document: Document) -> Iterator[Flaw]:
    """What `error` says about `document`, in our words; some of it twice where pydantic tried two shapes."""
    for detail in error.errors(include_url=False):
        place = _existing(detail["loc"], document.root)
        pattern = pattern_of(place)
        if _is_checked_whole(detail, pattern):
            continue
        yield Flaw(place, document.line(place), f"{dotted(place)}{_sentence(detail, place, pattern, document)}")


def _is_checked_whole(detail: ErrorDetails, pattern: str) -> bool:
    return detail["type"] == "value_error" and pattern in _CHECKED_WHOLE and detail["loc"][-1:] != (_KEY,)


def pattern_of(place: Place) -> str:
    """`place` with `*` for model names, positions and what else operators choose: `models.*.aliases.*`."""
    fixed = {0, 2, 3} if place[2:3] != ("options",) else {0, 2}
    return ".".join(str(step) if index in fixed and isinstance(step, str) else "*" for index, step in enumerate(place))


def _existing(loc: tuple[int | str, ...], root: object) -> Place:
    """The part of pydantic's location that is in the file: the rest names shapes that were tried."""
    place: Place = ()
    node: Any = root
    for step in loc:
        listed = isinstance(node, list) and isinstance(step, int) and step < len(node)
        if not listed and not (isinstance(node, dict) and step in node):
            break
        node = node[step]
        place = (*place, step)
    return place


def _sentence(detail: ErrorDetails, place: Place, pattern: str, document: Document) -> str:
    kind = detail["type"]
    context: Mapping[str, Any] = detail.get("ctx", {})
    if kind == "missing":
        return f": '{detail['loc'][-1]}' is missing"
    around = pattern_of(place[:-1])
    if kind == "extra_forbidden":
        return f": {_unknown('field', str(place[-1]), around, _SHAPES[around].model_fields)}"
    if detail["loc"][-1:] == (_KEY,):
        if kind == "literal_error":
            return f": {_unknown('engine', str(place[-1]), around, _choices(context))}"
        named = "a model's name" if around == "models" else "the name"
        return f": {named} {context.get('error', detail['msg'])}"
    value = detail["input"]
    if word := later.word(pattern, value):
        return f": {quoted(word) if word == value or '://' in word else word} is not supported yet{_now(context)}"
    rule = _rule(kind, pattern, context) or f"is refused ({detail['msg'].lower()})"
    shown = "" if pattern in _SECRETIVE else document.shown(place, value)
    guess = _nearest(value, _choices(context)) if place not in document.originals else ""
    return f" {rule}{f', not {shown}' if shown else ''}{guess}"


def _rule(kind: str, pattern: str, context: Mapping[str, Any]) -> str:
    if pattern.startswith(_OPTION):
        return "must be text, a number, true or false, or a list of these"
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        return f"must be {_listed(_choices(context))}"
    if kind in _BY_LIMIT:
        return _BY_LIMIT[kind].format(**context)
    return _EXPECTED.get(kind, "")


def _unknown(what: str, word: str, pattern: str, known: Iterable[str]) -> str:
    if later.word(pattern, word):
        return f"the {what} is not supported yet"
    names = list(known)
    return f"unknown {what} {quoted(word)}{_nearest(word, names) or f'; known: {_listed(names)}'}"


def _nearest(word: object, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1) if isinstance(word, str) else []
    return f"; did you mean '{close[0]}'?" if close else ""


def _now(context: Mapping[str, Any]) -> str:
    choices = _choices(context)
    return f"; works now: {_listed(choices)}" if choices else ""


def _choices(context: Mapping[str, Any]) -> list[str]:
    return re.findall(r"'([^']*)'", str(context.get("expected", "")))


def _listed(words: list[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words)
