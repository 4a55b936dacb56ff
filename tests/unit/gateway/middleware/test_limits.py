"""What is refused by a request's headers alone."""

from __future__ import annotations

import pytest

from gateway.errors import BodyTooLarge, InvalidRequest, UnsupportedMedia
from gateway.middleware.limits import Limits
from tests.unit.gateway.builders import scope


def post(*headers, method="POST"):
    """Whether the request may come in; raises where it may not."""
    Limits(100).check(scope(method=method, headers=headers))
    return True


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"content-length", b"100")],
        [(b"content-type", b"application/json")],
        [(b"content-type", b"Application/JSON; charset=utf-8")],
        [(b"content-type", b"application/vnd.api+json")],
        [(b"content-encoding", b"identity")],
    ],
)
def test_json_of_a_reasonable_size_passes(headers):
    assert post(*headers)


@pytest.mark.parametrize("length", [b"101", b"9" * 18, b"9" * 5000])
def test_a_body_that_says_it_is_too_large_is_refused(length):
    with pytest.raises(BodyTooLarge):
        post((b"content-length", length))


@pytest.mark.parametrize("length", [b"", b"-1", b"+5", b"1e3", b"0x10", b"5, 5", "٣".encode()])
def test_a_length_that_is_no_number_is_refused(length):
    with pytest.raises(InvalidRequest):
        post((b"content-length", length))


@pytest.mark.parametrize("encoding", [b"gzip", b"br", b"identity, gzip", b""])
def test_a_compressed_body_is_refused(encoding):
    """Security rule 12: 415, before a byte of it is read."""
    with pytest.raises(UnsupportedMedia):
        post((b"content-encoding", encoding))


@pytest.mark.parametrize(
    "media", [b"text/plain", b"multipart/form-data; boundary=x", b"", b"application/jsonp", b"a+json"]
)
def test_another_media_type_is_refused(media):
    with pytest.raises(UnsupportedMedia):
        post((b"content-type", media))


def test_a_get_is_not_looked_at():
    assert post((b"content-type", b"text/plain"), method="GET")


FORM = (b"content-type", b"multipart/form-data; boundary=x")


def test_a_file_comes_to_one_path_only_and_has_its_own_limit():
    """An adapter is larger than any request."""
    limits = Limits(100, 1000)
    limits.check(scope(path="/admin/adapters", headers=[FORM, (b"content-length", b"1000")]))
    with pytest.raises(BodyTooLarge, match="1000"):
        limits.check(scope(path="/admin/adapters", headers=[FORM, (b"content-length", b"1001")]))
    with pytest.raises(BodyTooLarge):
        limits.check(scope(path="/admin/adapters", headers=[(b"content-length", b"101")]))
    with pytest.raises(UnsupportedMedia):
        limits.check(scope(path="/admin/adapters/m:a/pin", headers=[FORM]))
