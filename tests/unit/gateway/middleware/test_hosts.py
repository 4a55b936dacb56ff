"""A web page that points its own name at this machine (DNS rebinding) does not reach a gateway without keys."""

from __future__ import annotations

import pytest

from gateway.errors import PermissionRefused
from gateway.middleware.auth import Auth
from gateway.settings import Settings
from tests.unit.gateway.builders import scope

OPEN = Settings(allowed_hosts=(b"house.example",))


def enter(*hosts, settings=OPEN, path="/v1/models", **rest):
    """Raises where the request is refused."""
    Auth(settings).check(scope(path, headers=[(b"host", host) for host in hosts], **rest))


@pytest.mark.parametrize(
    "host",
    [b"localhost", b"LocalHost:8000", b"127.0.0.1", b"127.0.0.1:8000", b"127.1.2.3:1", b"[::1]", b"[::1]:8000",
     b"house.example", b"House.Example:443"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/admin/models", "/metrics"])
def test_the_names_of_this_machine_and_those_listed_enter(host, path):
    enter(host, path=path)


@pytest.mark.parametrize(
    "host",
    [b"evil.example", b"evil.example:8000", b"", b"localhost.evil.example",
     b"evil.localhost", b"127.0.0.1.evil.example",
     b"localhost:x", b"localhost:8000:8000", b"localhost@evil.example", b"10.0.0.1", b"[::2]", b"0.0.0.0:8000",
     b"localhost\n", b"house.example.evil", b"xhouse.example", b"house.example:", b"\xff"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/admin/models", "/metrics"])
def test_any_other_name_is_refused(host, path):
    """Security rule 13."""
    with pytest.raises(PermissionRefused, match="Host header"):
        enter(host, path=path)


def test_the_first_host_decides():
    with pytest.raises(PermissionRefused):
        enter(b"evil.example", b"localhost")


def test_without_a_host_or_on_a_unix_socket_it_is_no_browser():
    enter()
    enter(b"anything", client=None)


def test_a_key_makes_the_name_irrelevant():
    """A page of somebody else's does not know it."""
    settings = Settings(api_keys=(b"k",))
    headers = [(b"host", b"public.example"), (b"authorization", b"Bearer k")]
    Auth(settings).check(scope("/v1/models", headers=headers))


def test_livez_answers_to_every_name():
    enter(b"10.0.0.1:8000", path="/livez")
