"""What a build borrows of this machine."""

from __future__ import annotations

from pathlib import Path

from deploy.check.machine import PLACE, borrowed


def test_files_that_pip_is_pointed_at_are_pointed_at_where_the_container_sees_them(tmp_path: Path):
    """In variables and in pip's own file; addresses elsewhere stay as they are."""
    (tmp_path / "certificates").touch()
    (tmp_path / "wheels").mkdir()
    configuration = tmp_path / "pip.conf"
    configuration.write_text(f"[global]\nfind-links = {tmp_path}/wheels https://example.com/wheels\n")
    environ = {"PIP_CERT": f"{tmp_path}/certificates", "HTTPS_PROXY": "http://proxy:3128", "SECRET": "mine"}
    found = borrowed(environ, configuration)
    assert found.environment == {"PIP_CERT": f"{PLACE}{tmp_path}/certificates", "HTTPS_PROXY": "http://proxy:3128"}
    assert found.configuration == f"[global]\nfind-links = {PLACE}{tmp_path}/wheels https://example.com/wheels\n"
    assert found.paths == {f"{tmp_path}/certificates", f"{tmp_path}/wheels"}


def test_a_folder_that_is_an_index_is_seen_through_its_address(tmp_path: Path):
    found = borrowed({"PIP_EXTRA_INDEX_URL": f"file://{tmp_path}"}, tmp_path / "none")
    assert found.environment == {"PIP_EXTRA_INDEX_URL": f"file://{PLACE}{tmp_path}"}


def test_a_machine_without_settings_lends_nothing(tmp_path: Path):
    assert borrowed({"PATH": "/bin", "PIP_NO_INPUT": "1"}, tmp_path / "none").paths == frozenset()
