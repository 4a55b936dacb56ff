"""A registry written in Python obeys the same rules as one read from a file."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from registry.snapshot import QueueLimits, Timeouts
from registry.spec import ModelSpec, QueueSpec, Registry, TimeoutsSpec

LOCAL = {"source": "pypi://a@1/b.gguf", "engine": "vllm"}
EXTERNAL = {"launcher": "external", "engine": "vllm", "urls": ["http://127.0.0.1:8001"]}


def test_the_defaults_are_those_of_the_snapshot():
    """One set of numbers: a model without limits gets the gateway's own."""
    spec = ModelSpec(**LOCAL)
    assert (spec.timeouts.limits(), spec.queue.limits()) == (Timeouts(), QueueLimits())


def test_limits_are_given_in_seconds():
    assert TimeoutsSpec(connect="500ms", idle="off", total="1h").limits() == Timeouts(
        connect=0.5, idle=None, total=3600.0
    )


def test_queue_limits_are_given_in_seconds():
    assert QueueSpec(limit=0, wait="2m").limits() == QueueLimits(limit=0, wait=120.0)


def test_only_fields_that_steer_can_be_allowed():
    """A word that gateways do not look for would allow nothing, and code is never allowed."""
    assert ModelSpec(**LOCAL, allow=["cache_salt"]).allow == ("cache_salt",)
    for word in ("temperature", "custom_logit_processor"):
        with pytest.raises(ValidationError, match="cache_salt"):
            ModelSpec(**LOCAL, allow=[word])


def test_a_model_is_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        ModelSpec(**LOCAL).replicas = 2


@pytest.mark.parametrize("fields", [{}, {**LOCAL, "urls": ["http://h:1"]}, {**EXTERNAL, "replicas": 1}])
def test_fields_that_do_not_fit_the_launcher_are_refused(fields):
    with pytest.raises(ValidationError):
        ModelSpec(**{"engine": "vllm", **fields})


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:8001", "dns://workers.example:8000", "https://h", "http://[::1]:8000", "http://a.b-c.d:65535/"],
)
def test_an_address_of_a_worker_is_scheme_host_and_port(url):
    assert ModelSpec(**{**EXTERNAL, "urls": [url]}).urls == (url.rstrip("/"),)


@pytest.mark.parametrize(
    "url",
    ["h:1", "ftp://h:1", "http://", "http://h:0", "http://h:65536", "http://h:x", "http://h/v1", "http://h?x", "http://h#x",
     "dns://h", "dns://h:0", "dns://[::1]:1", f"dns://{'h' * 254}:1",
     "http://u@h", "http://-h", "http://h\n", "http://h h", "http://ü"],
)  # fmt: skip
def test_other_addresses_are_refused(url):
    with pytest.raises(ValidationError, match="must be http"):
        ModelSpec(**{**EXTERNAL, "urls": [url]})


@pytest.mark.parametrize(
    "source",
    ["pypi://a", "pypi://a@1", "pypi://a/b", "pypi://a@1/../b", "pypi://-a@1/b", "pypi://a@1/b/", "git://x", "~/x", ""],
)
def test_a_source_that_cannot_be_fetched_is_refused(source):
    with pytest.raises(ValidationError, match="must"):
        ModelSpec(source=source, engine="vllm")


def test_options_and_environment_are_those_of_the_engine_in_force():
    spec = ModelSpec(**LOCAL, options={"vllm": {"max-num-seqs": 4}}, environments={"vllm": "vllm-cpu"})
    assert (spec.engine_options, spec.environment) == ({"max_num_seqs": 4}, "vllm-cpu")


def test_options_that_enginehouse_decides_are_refused():
    with pytest.raises(ValidationError, match=r"options\.vllm\.host"):
        ModelSpec(**LOCAL, options={"vllm": {"host": "0.0.0.0"}})


def test_one_name_means_one_model():
    with pytest.raises(ValidationError, match="already taken"):
        Registry(models={"a": ModelSpec(**LOCAL, aliases=("x",)), "b": ModelSpec(**LOCAL, aliases=("x",))})
