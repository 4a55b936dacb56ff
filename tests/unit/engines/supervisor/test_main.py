"""What of a registry file only a restart can take."""

from __future__ import annotations

from pathlib import Path

from engines.supervisor.main import moved
from registry.load import load

FILE = """\
models:
  m: {source: "hf://o/m@main", engine: vllm}

store: {redis: "redis://redis.lan:6379/0", files: ./shared}
"""


def test_another_store_is_told_with_its_line(tmp_path: Path) -> None:
    """The same one, and none as before, are no fault."""
    path = tmp_path / "r.yaml"
    path.write_text(FILE)
    store = load(path, {}).store
    assert store is not None
    assert moved(store, store, path, {}) == moved(None, None, path, {}) == ()
    (fault,) = moved(store, None, path, {})
    assert (fault.path, fault.line) == (path, 4)
    assert "restart enginehouse serve" in fault.message
