"""LMDeploy's command line, environment, calls and bodies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from engines.engine import LaunchPlan, LaunchRefused
from engines.lmdeploy import LMDEPLOY

PLAN = LaunchPlan(
    python=Path("/env/bin/python"),
    weights=Path("/weights"),
    served_name="small",
    host="127.0.0.1",
    port=9000,
    key="secret",
    layout="none",
    device="cuda",
)


def flags(**changes: object) -> list[str]:
    return list(LMDEPLOY.launch(replace(PLAN, **changes)).argv[7:])


def test_the_module_is_started_with_its_verbs_and_the_weights() -> None:
    words = LMDEPLOY.launch(PLAN).argv
    assert words[2:7] == ("lmdeploy", "--api-keys", "serve", "api_server", "/weights")


def test_the_key_is_in_the_environment_and_never_in_argv() -> None:
    """LMDeploy takes it from its command line only: `keyed.py` adds it inside the process."""
    launch = LMDEPLOY.launch(PLAN)
    assert launch.env["ENGINEHOUSE_WORKER_KEY"] == "secret"
    assert "secret" not in " ".join(launch.argv)


def test_the_address_the_name_and_the_context_are_ours() -> None:
    expected = {"--model-name=small", "--server-name=127.0.0.1", "--server-port=9000", "--session-len=2048"}
    assert expected <= set(flags(context=2048))


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        ("none", []),
        ("awq", ["--model-format=awq"]),
        ("gptq", ["--model-format=gptq"]),
        ("w4a16", ["--model-format=compressed-tensors"]),
    ],
)
def test_the_layout_is_told(layout: str, expected: list[str]) -> None:
    assert [word for word in flags(layout=layout) if "format" in word] == expected


def test_turbomind_is_the_backend_unless_adapters_are_wanted() -> None:
    """Only the PyTorch engine has adapters (cli/serve.py)."""
    assert "--backend=turbomind" in flags()
    assert "--backend=pytorch" in flags(adapter_slots=2)
    assert "--backend=pytorch" in flags(options={"backend": "pytorch"})


def test_adapters_are_named_at_the_start_and_never_later() -> None:
    adapters = {"small:a@1": Path("/a"), "small:b@2": Path("/b")}
    spoken = flags(adapters=adapters, adapter_slots=2)
    at = spoken.index("--adapters")
    assert spoken[at + 1 : at + 3] == ["small:a@1=/a", "small:b@2=/b"]
    assert not LMDEPLOY.capabilities.hot_adapters


def test_a_list_cannot_smuggle_in_a_flag() -> None:
    with pytest.raises(LaunchRefused, match="begins with a dash"):
        flags(options={"allow_origins": ("a", "--trust-remote-code")})


def test_false_says_nothing() -> None:
    """Every truth value of its parser is `store_true`."""
    assert not [word for word in flags(options={"enable_prefix_caching": False}) if "prefix" in word]
    assert "--enable-prefix-caching" in flags()


@pytest.mark.parametrize(("options", "expected"), [({}, 256), ({"max_batch_size": 8}, 8)])
def test_the_engine_and_the_balancer_agree_on_capacity(options: dict[str, object], expected: int) -> None:
    assert LMDEPLOY.capacity(options) == expected
    assert f"--max-batch-size={expected}" in flags(options=options)


@pytest.mark.parametrize(
    ("body", "awake"),
    [
        (b'{"status":"healthy","message":"Engine is healthy."}', True),
        (b'{"status":"sleeping","message":"Engine is sleeping."}', False),
        (b'{"status":"initializing","message":"\xe2\x80\xa6"}', False),
        (b"", False),
    ],
)
def test_a_sleeping_engine_is_known_by_the_body_of_its_health(body, awake) -> None:
    """It answers 200 (serve/openai/endpoints/management.py)."""
    assert LMDEPLOY.awake(body) is awake


def test_a_field_of_vllms_is_called_as_lmdeploy_calls_it() -> None:
    body = b'{"model":"alias","min_tokens":3}'
    assert LMDEPLOY.prepare(body, served_name="m", want_usage=False) == b'{"model":"m","min_new_tokens":3}'


def test_an_unchanged_body_is_the_same_object() -> None:
    """The hot path: nothing to change, nothing to do."""
    body = b'{"model":"small"}'
    assert LMDEPLOY.prepare(body, served_name=None, want_usage=False) is body


def test_nothing_is_continued() -> None:
    """A list of ids would be read as many prompts."""
    assert not LMDEPLOY.continues({})
    assert LMDEPLOY.capabilities.token_ids == frozenset()


def test_code_beside_the_weights_runs_only_where_the_registry_trusts_it():
    """No flag, no code."""
    trusting = replace(PLAN, trust_remote_code=True)
    found = ["--trust-remote-code" in LMDEPLOY.launch(plan).argv for plan in (PLAN, trusting)]
    assert found == [False, True]
