"""A wrong registry, for verbs that need a right one."""

import pytest

from cli.mistake import Mistake
from cli.registry import read_registry


def test_a_refused_registry_is_one_mistake_with_every_fault(tmp_path):
    """Each with its line."""
    file = tmp_path / "r.yaml"
    file.write_text("models:\n  m: {engine: vlm, source: .}\n  n: {engine: vllm}\n")
    with pytest.raises(Mistake) as refused:
        read_registry(file, {})
    assert f"{file}:2: " in str(refused.value)
    assert f"{file}:3: " in str(refused.value)
    assert refused.value.exit_code == 2
