"""Settings from the environment."""

from __future__ import annotations

import pytest

from gateway.settings import ADMIN_KEYS, ALLOWED_HOSTS, API_KEYS, Settings


@pytest.mark.parametrize(
    ("listed", "keys"),
    [("", ()), (" , ,", ()), ("a", (b"a",)), (" a , b,", (b"a", b"b")), ("clé", ("clé".encode(),))],
)
def test_keys_are_comma_separated_lists(listed, keys):
    """An empty entry is no key: it would let everyone in."""
    assert Settings.of({API_KEYS: listed}).api_keys == keys
    assert Settings.of({ADMIN_KEYS: listed}).admin_keys == keys


def test_hosts_are_a_list_in_lower_case():
    """Names of hosts are the same in any case."""
    assert Settings.of({ALLOWED_HOSTS: "House.example, b"}).allowed_hosts == (b"house.example", b"b")


def test_without_an_environment_there_are_no_keys():
    assert Settings.of({}) == Settings()


def test_keys_never_show_in_the_settings_text():
    """A canary key is found in no log, also where somebody logs the settings."""
    assert "canary" not in repr(Settings(api_keys=(b"canary",), admin_keys=(b"canary",)))
