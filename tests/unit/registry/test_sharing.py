"""What a file may say of the store that hosts share."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.faults import RegistryRefused
from registry.load import parse

FILE = Path("/etc/house/r.yaml")
MODELS = "models:\n  m:\n    source: hf://o/n@main\n    engine: vllm\n"


def store(text: str, **env: str):
    return parse(f"{MODELS}store: {text}\n", FILE, env, lambda _: True).store


def refused(text: str, **env: str) -> str:
    with pytest.raises(RegistryRefused) as caught:
        store(text, **env)
    return "\n".join(fault.message for fault in caught.value.faults)


def test_a_host_keeps_its_adapters_to_itself_unless_it_is_said():
    assert parse(MODELS, FILE, {}, lambda _: True).store is None


def test_the_folder_is_taken_from_the_files_own():
    found = store("{redis: 'redis://h:6379/1', files: ../shared}")
    assert (found.redis, found.files) == ("redis://h:6379/1", "/etc/house/../shared")


@pytest.mark.parametrize(
    "url", ["redis://h", "rediss://u:p@h:6380/2", "redis://:p%40@10.0.0.1", "unix:///run/r.sock", "redis://[::1]:1"]
)
def test_addresses_of_redis_may_come_from_the_environment(url: str):
    """And are never shown: they hold a password."""
    found = store("{redis: '${env:URL}', files: /f}", URL=url)
    assert (found.redis, url in repr(found)) == (url, False)


@pytest.mark.parametrize("url", ["h:6379", "http://h", "redis://", "redis://h:99999", "redis://h/x", "redis://a b"])
def test_what_is_no_address_is_refused_and_not_repeated(url: str):
    said = refused("{redis: '${env:URL}', files: /f}", URL=url)
    assert "must look like redis://" in said
    assert url not in said.replace("redis://host", "").replace("redis://", "", 1) or url == "redis://"


@pytest.mark.parametrize("url", ["redis://u:secret@h", "redis://:secret@h"])
def test_a_password_does_not_belong_in_the_file(url: str):
    said = refused(f"{{redis: '{url}', files: /f}}")
    assert ("holds a password" in said, "secret" in said) == (True, False)


@pytest.mark.parametrize("text", ["{redis: 'redis://h'}", "{files: /f}", "{redis: 'redis://h', files: s3://b/f}", "x"])
def test_both_fields_are_needed_and_files_are_a_folder(text: str):
    assert refused(text).startswith("store")
