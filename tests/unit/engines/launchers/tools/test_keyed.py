"""The key joins an engine's arguments inside its process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[5]
PROGRAM = ROOT / "engines/launchers/tools/keyed.py"
ECHO = "import json, os, sys\nif __name__ == '__main__':\n    print(json.dumps([__spec__.name, sys.argv[1:], 'ENGINEHOUSE_WORKER_KEY' in os.environ]))\n"  # noqa: E501 (a program)


def started(folder: Path, key: str) -> list:
    (folder / "echo.py").write_text(ECHO, encoding="utf-8")
    words = [sys.executable, str(PROGRAM), "echo", "--api-key", "--port=1"]
    environment = {"PYTHONPATH": str(folder)} | ({"ENGINEHOUSE_WORKER_KEY": key} if key else {})
    ran = subprocess.run(words, env=environment, cwd=folder, capture_output=True, text=True, check=True)
    return json.loads(ran.stdout)


def test_the_module_runs_as_the_main_one_with_the_key_as_its_last_flag(tmp_path: Path) -> None:
    """Its spec keeps its name, so that processes that it spawns find it again; the variable is gone for them."""
    assert started(tmp_path, "-secret") == ["echo", ["--port=1", "--api-key=-secret"], False]


def test_without_a_key_there_is_no_flag(tmp_path: Path) -> None:
    """A worker that nobody protects is still a worker."""
    assert started(tmp_path, "") == ["echo", ["--port=1"], False]
