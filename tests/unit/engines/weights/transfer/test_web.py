"""A GET at the edge: where it may be sent on to, and what of a failure may be said."""

import httpx
import pytest

from engines.weights.failures import FetchFailed
from engines.weights.transfer.refusals import Broken, Refusal
from engines.weights.transfer.web import Web, origin, shown

HOME = "https://hub"


async def fetched(url, answer, secrets=None):
    """What `Web` makes of the answers that `answer` gives; it may raise as a transport does."""
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        return await Web(http, HOME, secrets or {}, Refusal("hf://a/b")).text(url)


@pytest.mark.parametrize("location", ["https://x:99999/", "//hub:-1/", "ftp://hub/", ""])
async def test_a_redirect_to_what_is_no_address_is_refused(location):
    """It is the server's mistake, and asking again brings the same."""
    with pytest.raises(FetchFailed, match="https://hub/m: redirected to nowhere"):
        await fetched(f"{HOME}/m", lambda _: httpx.Response(302, headers={"location": location}))


@pytest.mark.parametrize("url", ["https://hub:99999/m?signature=s", "https://hub:y/m", "https://[::1/m"])
async def test_what_is_no_address_is_refused_before_it_is_asked(url):
    """A bucket's list may hold it; its signature is not told."""
    with pytest.raises(FetchFailed, match="not an address") as refused:
        await fetched(url, lambda _: httpx.Response(200))
    assert "signature" not in str(refused.value)


@pytest.mark.parametrize("home", ["https://hub:99999", "https://[::1"])
async def test_a_home_that_is_no_address_is_refused(home):
    """As `HF_ENDPOINT` may be."""
    with pytest.raises(FetchFailed, match="not an address"):
        Web(httpx.AsyncClient(), home, {}, Refusal("hf://a/b"))


def test_port_zero_is_not_the_usual_port():
    """Else a secret would follow there."""
    assert origin("https://hub:0/") != origin("https://hub/") == origin("https://hub:443/")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://me:secret@hub:8443/m?signature=s#f", "https://hub:8443/m"),
        ("https://hub:99999/m", "https://hub:99999/m"),
        ("https://me:secret@[::1]:80/m", "https://::1:80/m"),
        ("https://hub:secret/m", "https://hub/m"),
    ],
)
def test_an_address_is_shown_without_what_is_secret(url, said):
    assert shown(url) == said


async def test_a_fault_is_told_by_its_kind():
    """Its text may quote a header: `Illegal header value b'Bearer ...'`."""

    def refuse(request):
        raise httpx.LocalProtocolError(f"Illegal header value {request.headers['Authorization']!r}")

    with pytest.raises(Broken) as broken:
        await fetched(f"{HOME}/m", refuse, {"Authorization": "Bearer hf_SECRET"})
    assert str(broken.value) == "https://hub/m: LocalProtocolError"


async def test_what_the_system_says_of_a_fault_is_told():
    """However deep it lies: connection refused, name not known, certificate not trusted."""

    def refuse(_):
        tried = OSError("All connection attempts failed")
        tried.__cause__ = ConnectionRefusedError(111, "Connection refused")
        raise httpx.ConnectError("secret") from tried

    with pytest.raises(Broken, match=r"^https://hub/m: Connection refused \(ConnectError\)$"):
        await fetched(f"{HOME}/m", refuse)
