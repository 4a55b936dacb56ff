"""What of a repository is fetched, and what is not believed of a list."""

import pytest

from engines.weights.failures import FetchFailed, SourceRefused
from engines.weights.transfer.listing import File, checked, exactly, needed, sums

SUM = "a" * 64


def files(*names):
    return [File(name, f"https://h/{name}") for name in names]


def taken(*names, pickle=False, code=False):
    return [file.name for file in needed("m", files(*names), allow_pickle=pickle, trust_remote_code=code)]


def test_an_engine_gets_weights_configuration_and_tokenizer():
    """And neither other formats, nor a second copy, nor code."""
    names = ["config.json", "model-1.safetensors", "tokenizer.model", "chat_template.jinja", "1_Pooling/config.json"]
    extra = ["x.py", "model.bin", "consolidated.safetensors", "onnx/m.safetensors", "x.gguf", "README.md", "x.h5"]
    assert taken(*names, *extra) == sorted(names)


def test_code_and_pickles_come_only_where_they_are_wanted():
    """Pickles not even then, where there is something better."""
    assert taken("config.json", "m.safetensors", "m.py", "m.bin", pickle=True, code=True) == [
        "config.json", "m.py", "m.safetensors",
    ]  # fmt: skip
    assert taken("config.json", "m.bin", "training_args.bin", pickle=True) == ["config.json", "m.bin"]
    with pytest.raises(SourceRefused, match="allow_pickle: true"):
        taken("config.json", "m.bin")


@pytest.mark.parametrize(("names", "said"), [(["m.safetensors"], "needs config.json"), (["a.gguf"], "…/a.gguf")])
def test_what_is_no_checkpoint_is_refused_with_what_to_write(names, said):
    """A repository of GGUF files names one of them."""
    with pytest.raises(SourceRefused, match=said):
        taken(*names)


@pytest.mark.parametrize(
    "file",
    [File("../x", ""), File("/x", ""), File(".x", ""), File("a/.git/x", ""), File("", ""), File("x", "", -1),
     File("x", "", 1, "no sum")],
)  # fmt: skip
def test_nonsense_in_a_list_is_not_believed(file):
    """It may lead out of the folder."""
    with pytest.raises(FetchFailed):
        checked("m", [file])
    with pytest.raises(FetchFailed, match="which is not taken"):
        checked("m", files("twice", "twice"))


def test_sums_are_what_sha256sum_prints():
    """In text and in binary mode, from `find` too."""
    text = f"{SUM}  a\n{SUM.upper()} *b\n\n{SUM}  ./c d\n"
    assert sums(text) == {"a": SUM, "b": SUM, "c d": SUM}
    for wrong in ("<html>", f"{SUM}", f"{SUM[1:]}  a"):
        with pytest.raises(ValueError, match="not a line"):
            sums(wrong)


def test_exactly_the_files_that_are_asked_for_are_taken():
    """An adapter is two files; what lies beside them is not fetched."""
    found = exactly("m", files("b.json", "training_args.bin", "a.safetensors"), ("a.safetensors", "b.json"), None)
    assert [file.name for file in found] == ["a.safetensors", "b.json"]


def test_a_file_that_is_asked_for_and_missing_or_too_large_is_named():
    with pytest.raises(SourceRefused, match=r"has no a\.safetensors; it has a\.bin"):
        exactly("m", files("a.bin"), ("a.safetensors",), None)
    with pytest.raises(SourceRefused, match="has 11 bytes, and 10 are taken"):
        exactly("m", [File("a", "https://x/a", 11)], ("a",), 10)
