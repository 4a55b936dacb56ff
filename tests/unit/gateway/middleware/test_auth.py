"""Who may come in: by key, or, where no key is set, from this machine only."""

from __future__ import annotations

import pytest

from gateway.errors import InvalidApiKey, PermissionRefused
from gateway.middleware.auth import Auth
from gateway.settings import Settings
from tests.unit.gateway.builders import scope

API, ADMIN = b"api-key", b"admin-key"
KEYS = Settings(api_keys=(API, b"other"), admin_keys=(ADMIN,))


def bearer(key):
    return [(b"authorization", b"Bearer " + key)]


def enter(*headers, path="/v1/models", settings=KEYS, client=("10.0.0.1", 1)):
    """Whether the request may come in; raises where it may not."""
    Auth(settings).check(scope(path, headers=headers, client=client))
    return True


@pytest.mark.parametrize(
    "headers",
    [bearer(API), bearer(b"other"), bearer(ADMIN), [(b"x-api-key", API)], [(b"authorization", b"bearer  api-key ")]],
)
def test_a_known_key_enters(headers):
    """As OpenAI's clients send it, or as Anthropic's do; an admin key opens everything."""
    assert enter(*headers)


REFUSED = [
    [],
    bearer(b"wrong"),
    bearer(b""),
    [(b"authorization", b"")],
    [(b"authorization", b"Bearer")],
    [(b"authorization", b"Basic " + API)],
    [(b"authorization", API)],
    [(b"x-api-key", b"")],
    bearer(API + b" " + API),
    bearer(API + b"," + API),
    bearer(b"wrong") + bearer(API),
    bearer(API) + bearer(b"wrong"),
    [*bearer(b"wrong"), (b"x-api-key", API)],
    bearer(b"k" * 1024 * 1024),
    bearer(API + b"\x00"),
    bearer(b"\x00"),
    bearer("clé".encode()),
    bearer(b"\xff\xfe"),
    bearer(API[:-1]),
    bearer(API.upper()),
]


@pytest.mark.parametrize(
    "path", ["/v1/models", "/admin/workers", "/", "/metrics", "/readyz", "/docs", "//livez", "/livez/"]
)
@pytest.mark.parametrize("headers", REFUSED)
def test_any_other_key_is_refused_with_one_body(headers, path):
    """Security rule 1: no, wrong, empty, doubled, 1 MB, NUL, non-ASCII keys: 401, same body, on every route."""
    with pytest.raises(InvalidApiKey) as caught:
        enter(*headers, path=path)
    with pytest.raises(InvalidApiKey) as plain:
        enter(path=path)
    assert caught.value.body() == plain.value.body()


ADMINISTERS = ["/admin/models", "/admin/adapters", "/v1/load_lora_adapter", "/v1/unload_lora_adapter"]


@pytest.mark.parametrize("path", ADMINISTERS)
def test_an_api_key_may_not_administer(path):
    """Also where vLLM has words of its own for it."""
    with pytest.raises(PermissionRefused):
        enter(*bearer(API), path=path)


@pytest.mark.parametrize("path", ADMINISTERS)
def test_an_admin_key_administers(path):
    assert enter(*bearer(ADMIN), path=path)


def test_livez_asks_nobody():
    assert enter(path="/livez")


@pytest.mark.parametrize("client", [("127.0.0.1", 1), ("127.9.9.9", 1), ("::1", 1), None])
@pytest.mark.parametrize("path", ["/v1/models", "/admin/models"])
def test_without_keys_this_machine_is_served(client, path):
    assert enter(settings=Settings(), client=client, path=path)


@pytest.mark.parametrize(
    "client", [("10.0.0.1", 1), ("::ffff:10.0.0.1", 1), ("example.org", 1), ("", 1), ("127.0.0.1.evil", 1)]
)
@pytest.mark.parametrize("path", ["/v1/models", "/admin/models"])
def test_without_keys_nobody_else_is_served(client, path):
    with pytest.raises(PermissionRefused):
        enter(settings=Settings(), client=client, path=path)


def test_with_api_keys_alone_only_this_machine_administers():
    """A key for the models opens nothing there, and none is needed from here."""
    settings = Settings(api_keys=(API,))
    assert enter(settings=settings, client=("127.0.0.1", 1), path="/admin/models")
    with pytest.raises(PermissionRefused):
        enter(*bearer(API), settings=settings, path="/admin/models")


def test_with_admin_keys_alone_the_models_ask_for_one_too():
    settings = Settings(admin_keys=(ADMIN,))
    assert enter(*bearer(ADMIN), settings=settings)
    with pytest.raises(InvalidApiKey):
        enter(settings=settings)


def test_headers_about_proxies_make_nobody_local():
    """Anyone can write them."""
    forged = [(b"x-forwarded-for", b"127.0.0.1"), (b"forwarded", b"for=127.0.0.1"), (b"host", b"localhost")]
    with pytest.raises(PermissionRefused):
        enter(*forged, settings=Settings())
