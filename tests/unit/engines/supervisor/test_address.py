"""The public address: who may be served without keys, and what is said where it cannot be had."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from engines.supervisor import address
from engines.supervisor.settings import ServeRefused

KEYS = {"ENGINEHOUSE_API_KEY": "a", "ENGINEHOUSE_ADMIN_KEY": "b"}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.1.2.3"])
def test_loopback_needs_no_keys(host: str) -> None:
    address.refuse_open_house(host, {})


@pytest.mark.parametrize("env", [{}, {"ENGINEHOUSE_API_KEY": "a"}, KEYS | {"ENGINEHOUSE_ADMIN_KEY": " , "}])
@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "::", "example.org"])
def test_other_addresses_need_both_keys(host: str, env: dict[str, str]) -> None:
    with pytest.raises(ServeRefused, match="ENGINEHOUSE_ADMIN_KEY"):
        address.refuse_open_house(host, env)


def test_with_both_keys_any_address_is_served() -> None:
    address.refuse_open_house("0.0.0.0", KEYS)


def test_a_taken_port_says_what_to_do() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        refused = pytest.raises(ServeRefused, match=f"port {port} is taken by another program; use --port")
        with refused, address.bound("127.0.0.1", port):
            pass


def test_the_url_is_one_that_a_client_can_use() -> None:
    with address.bound("0.0.0.0", 0) as listening:
        assert address.url(listening) == f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_the_state_folder_says_where_the_house_is_while_it_serves(tmp_path: Path) -> None:
    with address.bound("127.0.0.1", 0) as listening:
        with address.noted(tmp_path, listening):
            assert address.locate(tmp_path) == address.url(listening)
        assert address.locate(tmp_path) is None


def test_a_state_folder_that_is_none_has_no_house(tmp_path: Path) -> None:
    """Asked of whatever a person names."""
    (tmp_path / "file").touch()
    assert address.locate(tmp_path / "file") is None


def test_where_the_address_cannot_be_noted_nothing_is_served(tmp_path: Path) -> None:
    (tmp_path / "url").mkdir()
    refused = pytest.raises(ServeRefused, match=r"cannot write .*url: Is a directory; use --state")
    with address.bound("127.0.0.1", 0) as listening, refused, address.noted(tmp_path, listening):
        pass
