"""Every error is answered in the one envelope, and the tree on top of the file is the tree below it."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from gateway import errors
from gateway.errors import EngineRefused, GatewayError, MethodNotAllowed, NoWorker, QueueFull

EXTRA = {
    MethodNotAllowed: {"allow": "GET"},
    EngineRefused: {"status": 400, "kind": "invalid_request_error", "param": None, "code": None},
}
CLASSES = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, GatewayError)]


def make(kind, message="why"):
    return kind(message=message, **EXTRA.get(kind, {}))


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("message", ["why", 'quotes " and \\', "line\nbreak \x00 \u2028", "🏠", ""])
def test_every_error_renders_the_envelope(kind, message):
    """Message, type, param, code: always all four, `code` a string or null."""
    error = msgspec.json.decode(make(kind, message).body())["error"]
    assert list(error) == ["message", "type", "param", "code"]
    assert (error["message"], type(error["type"]), error["param"]) == (message, str, None)
    assert error["code"] is None or isinstance(error["code"], str)


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_has_an_http_status(kind):
    assert 400 <= make(kind).answered_status < 600


@pytest.mark.parametrize("kind", CLASSES)
def test_the_tree_on_top_names_every_class_under_its_parent(kind):
    """The drawing is what people read: it must not lie."""
    drawn = re.findall(r"^    ([│ ]*?)(?:[├└]── )?(\w+)(?: +(\d{3}))?", errors.__doc__, re.MULTILINE)
    depth = {name: len(bars) // 4 + (name != "GatewayError") for bars, name, _ in drawn}
    assert depth[kind.__name__] == len(kind.__mro__) - len(GatewayError.__mro__)
    status = {name: number for _, name, number in drawn}[kind.__name__]
    assert not status or int(status) == kind.status


def test_codes_are_unique_to_their_meaning():
    """One code never comes with two statuses."""
    pairs = {(kind.code, kind.status) for kind in CLASSES if kind.code}
    assert len({code for code, _ in pairs}) == len(pairs)


@pytest.mark.parametrize(
    ("seconds", "header"), [(0.0, b"1"), (0.2, b"1"), (1.0, b"1"), (2.0, b"2"), (2.1, b"3"), (59.5, b"60")]
)
def test_retry_after_is_whole_seconds_and_never_too_early(seconds, header):
    assert (b"retry-after", header) in QueueFull("full", retry_after=seconds).headers()


def test_an_endless_retry_after_is_still_an_answer():
    """A worker's header decides it: nothing that it says may break the renderer."""
    assert NoWorker("x", retry_after=float("inf")).headers()


def test_an_unauthorized_answer_says_how_to_authorize():
    assert (b"www-authenticate", b"Bearer") in errors.InvalidApiKey("x").headers()


def test_a_wrong_method_is_told_the_right_ones():
    assert (b"allow", b"GET") in MethodNotAllowed("x", allow="GET").headers()


def test_an_engines_refusal_is_answered_as_the_engine_said():
    error = EngineRefused(422, "why", "invalid_request_error", "prompt", "too_long")
    assert error.answered_status == 422
    assert msgspec.json.decode(error.body())["error"] == {
        "message": "why",
        "type": "invalid_request_error",
        "param": "prompt",
        "code": "too_long",
    }


def test_an_engines_refusal_is_no_server_error_in_the_log():
    """Log and metrics take `code or type`; the engine's own words must not become labels either."""
    error = EngineRefused(400, "why", "invalid_request_error", None, "a client's text")
    assert (error.code or error.type) == "invalid_request_error"


def test_every_code_is_documented():
    """Clients decide by it."""
    documented = (Path(errors.__file__).parents[1] / "docs/security.md").read_text(encoding="utf-8")
    codes = {kind.code for kind in CLASSES if isinstance(vars(kind).get("code"), str)}
    assert [code for code in sorted(codes) if f"`{code}`" not in documented] == []
