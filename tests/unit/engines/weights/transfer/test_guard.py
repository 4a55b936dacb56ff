"""What is inside is asked for nobody who is outside: not by address, by DNS, or by a redirect."""

from __future__ import annotations

import ipaddress

import httpx
import pytest

from engines.weights.failures import HostRefused
from engines.weights.transfer.guard import Guard, everybodys, proxied
from engines.weights.transfer.refusals import Broken, Refusal
from engines.weights.transfer.web import Web

OUTSIDE = "93.184.215.14"


class Net:
    """Names, and servers that note who was asked."""

    def __init__(self, allowed=(), *, proxied=False, **names):
        self.names = {name.replace("_", "."): value for name, value in names.items()}
        self.asked, self.resolved = [], []
        self.redirect = ""
        self.guard = Guard(allowed, self.resolve, lambda _: proxied)

    async def resolve(self, host):
        self.resolved.append(host)
        if host not in self.names:
            raise OSError("no such host")
        return self.names[host]

    def answer(self, request):
        name = request.extensions.get("sni_hostname", "")
        self.asked.append((request.url.host, request.headers["host"], name))
        redirect, self.redirect = self.redirect, ""
        return httpx.Response(302, headers={"location": redirect}) if redirect else httpx.Response(200, text="fine")

    async def text(self, url):
        hooks = {"request": [self.guard]}
        async with httpx.AsyncClient(transport=httpx.MockTransport(self.answer), event_hooks=hooks) as http:
            return await Web(http, url, {}, Refusal("it")).text(url)


async def test_the_address_that_was_looked_at_is_the_one_that_is_asked():
    """Once resolved; the server and TLS hear the name."""
    net = Net(a_example=[OUTSIDE])
    assert await net.text("https://a.example:8443/x/") == "fine"
    assert (net.asked, net.resolved) == ([(OUTSIDE, "a.example:8443", "a.example")], ["a.example"])


INSIDE = ["127.0.0.1", "10.1.2.3", "169.254.169.254", "192.168.0.1", "100.64.0.1", "0.0.0.0", "224.0.0.1", "::1"]
INSIDE += ["fe80::1", "fd00::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "::", "255.255.255.255"]


@pytest.mark.parametrize("address", INSIDE)
async def test_a_name_that_means_something_inside_is_refused_and_nobody_asked(address):
    """Also where only one of its addresses does; the message does not say which."""
    net = Net(a_example=[OUTSIDE, address])
    with pytest.raises(HostRefused, match="this host is inside") as caught:
        await net.text("https://a.example/x/")
    assert (net.asked, f" {address}" in str(caught.value)) == ([], False)


@pytest.mark.parametrize("address", [OUTSIDE, "2606:2800:21f:cb07::1", "64:ff9b::5db8:d70e"])
def test_what_is_everybodys_is(address):
    assert everybodys(ipaddress.ip_address(address))


async def test_a_redirect_inside_is_not_followed():
    net = Net(a_example=[OUTSIDE], metadata_internal=["169.254.169.254"])
    net.redirect = "https://metadata.internal/latest/"
    with pytest.raises(HostRefused, match=r"metadata\.internal"):
        await net.text("https://a.example/x/")
    assert [host for host, _, _ in net.asked] == [OUTSIDE]


async def test_an_allowed_host_is_asked_as_it_is():
    net = Net(["models.lan", " "], models_lan=["10.0.0.5"])
    assert await net.text("https://models.lan/x/") == "fine"
    assert (net.asked, net.resolved) == ([("models.lan", "models.lan", "")], [])


async def test_a_proxy_is_asked_by_name_and_for_nothing_inside():
    net = Net(proxied=True, a_example=[OUTSIDE], b_example=["10.0.0.1"])
    assert await net.text("https://a.example/") == "fine"
    with pytest.raises(HostRefused):
        await net.text("https://b.example/")
    assert [host for host, _, _ in net.asked] == ["a.example"]


async def test_behind_a_proxy_a_machine_need_not_know_names():
    """The proxy does. An address that is said itself is looked at all the same."""
    net = Net(proxied=True)
    assert await net.text("https://a.example/") == "fine"
    for address in ("10.0.0.1", "[::1]"):
        with pytest.raises(HostRefused):
            await net.text(f"https://{address}/")
    assert [host for host, _, _ in net.asked] == ["a.example"]


@pytest.mark.parametrize("answer", [[], OSError("no such host"), UnicodeError("label too long"), TimeoutError()])
async def test_without_a_proxy_a_name_has_to_be_known(answer):
    async def resolve(_host):
        if isinstance(answer, Exception):
            raise answer
        return answer

    request = httpx.Request("GET", "https://a.example/")
    with pytest.raises(httpx.ConnectError, match="the name"):
        await Guard((), resolve, lambda _: False)(request)
    await Guard((), resolve, lambda _: True)(request)
    assert request.url.host == "a.example"


async def test_a_name_without_an_address_may_have_one_later():
    with pytest.raises(Broken):
        await Net().text("https://nowhere.example/")


async def test_an_ipv6_address_is_spelled_as_urls_have_it():
    net = Net(a_example=["2606:2800:21f:cb07::1"])
    await net.text("https://a.example/")
    assert net.asked[0][0] == "2606:2800:21f:cb07::1"


def test_the_environment_says_what_a_proxy_asks_for(monkeypatch):
    """For all, or of one scheme; and for whom it does not."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    assert not proxied(httpx.URL("https://a.example/"))
    monkeypatch.setenv("https_proxy", "http://proxy.lan:3128")
    monkeypatch.setenv("no_proxy", "b.example")
    asked = [proxied(httpx.URL(url)) for url in ("https://a.example/", "https://b.example/", "http://a.example/")]
    assert asked == [True, False, False]
    monkeypatch.setenv("all_proxy", "http://proxy.lan:3128")
    assert proxied(httpx.URL("http://a.example/"))
