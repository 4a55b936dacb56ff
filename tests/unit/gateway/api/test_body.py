"""A request's body: read within its bounds, and understood as far as the gateway must."""

from __future__ import annotations

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.body import decode, read_body
from gateway.errors import BodyTooLarge, ClientGone, InvalidRequest
from tests.unit.gateway.builders import Inbox, part

GONE = {"type": "http.disconnect"}


@pytest.mark.parametrize(
    "parts",
    [[part(b"0123456789")], [part(b"01234", more=True), part(b"56789")], [part(b"0123456789", more=True), part()]],
)
async def test_a_body_is_read_whole(parts):
    assert await read_body(Inbox(*parts), 10) == b"0123456789"


@pytest.mark.parametrize(
    "parts", [[part(b"x" * 11)], [part(b"x" * 6, more=True), part(b"x" * 5)], [part(b"x" * 11, more=True)]]
)
async def test_a_body_past_the_limit_is_refused_at_once(parts):
    """Also without a content-length, and without waiting for the rest."""
    with pytest.raises(BodyTooLarge):
        await read_body(Inbox(*parts), 10)


@pytest.mark.parametrize("parts", [[GONE], [part(b"x", more=True), GONE]])
async def test_a_client_that_leaves_while_it_sends_is_gone(parts):
    with pytest.raises(ClientGone):
        await read_body(Inbox(*parts), 10)


def test_what_decides_a_requests_way_is_read():
    wanted = decode(b'{"model": "m", "stream": true, "stream_options": {"include_usage": true}, "x": [1, {}]}')
    assert (wanted.model, wanted.stream, wanted.usage_asked) == ("m", True, True)


@pytest.mark.parametrize("options", ["", ', "stream_options": null', ', "stream_options": {}'])
def test_usage_is_not_asked_by_default(options):
    assert not decode(b'{"model": "m", "stream": null%b}' % options.encode()).usage_asked


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"not json",
        b'{"model": "m"} x',
        b'{"model": "m",}',
        b"{'model': 'm'}",
        b'\xef\xbb\xbf{"model": "m"}',
        b'{"model": "m", "x": NaN}',
        b'{"model": "m", "x": "\xff"}',
        b'{"model": "\xff"}',
        b'{"model": "\\ud800"}',
        b'{"model": "m\x00"}',
        b'{"model": "m", "x": ' + b"[" * 200_000,
        b"[" * 200_000,
        b'{"model": "m"}'.decode().encode("utf-16"),
    ],
)
def test_what_is_not_json_is_refused(body):
    """One kind of error, whatever the bytes."""
    with pytest.raises(InvalidRequest):
        decode(body)


@pytest.mark.parametrize("body", [b"null", b"5", b"[]", b'"model"'])
def test_what_is_no_object_is_refused(body):
    with pytest.raises(InvalidRequest, match="must be a JSON object"):
        decode(body)


@pytest.mark.parametrize("body", [b"{}", b'{"model": null}', b'{"model": ""}'])
def test_a_request_without_a_model_is_refused(body):
    with pytest.raises(InvalidRequest, match="model") as caught:
        decode(body)
    assert caught.value.param == "model"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"model": 5}', "model"),
        (b'{"model": ["m"]}', "model"),
        (b'{"model": "m", "stream": "yes"}', "stream"),
        (b'{"model": "m", "stream": 1}', "stream"),
        (b'{"model": "m", "stream_options": {"include_usage": 5}}', "stream_options.include_usage"),
    ],
)
def test_a_wrong_type_names_its_parameter(body, param):
    with pytest.raises(InvalidRequest, match=f"Wrong type for '{param}': expected") as caught:
        decode(body)
    assert caught.value.param == param


@given(st.binary(max_size=100))
def test_arbitrary_bytes_raise_only_invalid_request(body):
    with contextlib.suppress(InvalidRequest):
        assert decode(body).model


@given(st.binary(max_size=100))
def test_every_refusal_can_be_rendered(body):
    """What it quotes of the body is valid text."""
    with pytest.raises(InvalidRequest) as caught:
        decode(b"{" + body)
    assert msgspec.json.decode(caught.value.body())["error"]["message"]
