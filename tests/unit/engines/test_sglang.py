"""SGLang's command line, environment, calls and bodies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from engines.engine import Interrupted, LaunchPlan
from engines.sglang import SGLANG

PLAN = LaunchPlan(
    python=Path("/env/bin/python"),
    weights=Path("/weights"),
    served_name="small",
    host="127.0.0.1",
    port=9000,
    key="secret",
    layout="awq",
    device="cuda",
)


def flags(**changes: object) -> list[str]:
    return list(SGLANG.launch(replace(PLAN, **changes)).argv[4:])


def test_the_module_is_started_with_the_flag_for_its_key() -> None:
    python, program, module, flag = SGLANG.launch(PLAN).argv[:4]
    assert (python, Path(program).name, module, flag) == (
        "/env/bin/python",
        "keyed.py",
        "sglang.launch_server",
        "--api-key",
    )


def test_the_key_is_in_the_environment_and_never_in_argv() -> None:
    """SGLang takes it from its command line only: `keyed.py` adds it inside the process."""
    launch = SGLANG.launch(PLAN)
    assert launch.env["ENGINEHOUSE_WORKER_KEY"] == "secret"
    assert "secret" not in " ".join(launch.argv)


def test_the_address_the_name_and_the_context_are_ours() -> None:
    expected = {"--model-path=/weights", "--served-model-name=small", "--host=127.0.0.1", "--port=9000"}
    assert expected | {"--context-length=2048", "--enable-metrics"} <= set(flags(context=2048))


def test_adapters_are_off_without_slots() -> None:
    assert not [word for word in flags() if "lora" in word]


def test_with_no_adapter_at_the_start_rank_and_modules_are_told() -> None:
    """arg_groups/lora_hook.py asserts both. The bare model takes one place of a batch."""
    assert {
        "--enable-lora",
        "--max-loras-per-batch=5",
        "--max-loaded-loras=5",
        "--max-lora-rank=12",
        "--lora-target-modules=all",
    } <= set(flags(adapter_slots=4, adapter_max_rank=12))


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("disable_radix_cache", True, ["--disable-radix-cache"]),
        ("disable_radix_cache", False, []),
        ("lora_strict_loading", False, ["--no-lora-strict-loading"]),
        ("tp_size", 2, ["--tp-size=2"]),
        ("tool_call_parser", "qwen", ["--tool-call-parser=qwen"]),
        ("revision", "--trust-remote-code", ["--revision=--trust-remote-code"]),
    ],
)
def test_options_become_flags(option: str, value: object, expected: list[str]) -> None:
    """Most truth values can only be said, so false says nothing."""
    spoken = flags(options={option: value})
    assert [word for word in spoken if option.replace("_", "-") in word] == expected


@pytest.mark.parametrize(("options", "expected"), [({}, 256), ({"max-running-requests": 8}, 8)])
def test_the_engine_and_the_balancer_agree_on_capacity(options: dict[str, object], expected: int) -> None:
    assert SGLANG.capacity(options) == expected
    assert f"--max-running-requests={expected}" in flags(options=options)


def test_an_adapter_is_loaded_by_what_follows_the_colon() -> None:
    """Requests say `base:adapter@revision`; SGLang splits at the served name (serving_base.py)."""
    loaded, unloaded = SGLANG.load_adapter("small:pirate@ab12", Path("/p")), SGLANG.unload_adapter("small:pirate@ab12")
    assert (loaded.path, loaded.body) == ("/load_lora_adapter", b'{"lora_name":"pirate@ab12","lora_path":"/p"}')
    assert unloaded.body == b'{"lora_name":"pirate@ab12"}'
    assert "--lora-paths=pirate@ab12=/p" in flags(adapters={"small:pirate@ab12": Path("/p")})


def test_an_unchanged_body_is_the_same_object() -> None:
    """The hot path: nothing to change, nothing to do."""
    body = b'{"model":"small:pirate@ab12"}'
    assert SGLANG.prepare(body, served_name=None, want_usage=False) is body


def test_a_field_of_vllms_is_called_as_sglang_calls_it() -> None:
    body = b'{"model":"m","include_stop_str_in_output":true}'
    assert SGLANG.prepare(body, served_name=None, want_usage=False) == b'{"model":"m","no_stop_trim":true}'


def test_only_a_completion_tells_ids_and_is_continued_by_them() -> None:
    """A chat's stream with `return_token_ids` is refused (serving_chat.py)."""
    assert SGLANG.capabilities.token_ids == {"/v1/completions"}
    broken = Interrupted("/v1/completions", b'{"model":"m","prompt":"a"}', "m", prompt=[1, 2])
    call = SGLANG.continuation(broken)
    assert call is not None
    assert msgspec.json.decode(call.body)["prompt"] == [1, 2]
    assert SGLANG.continuation(replace(broken, prompt=(), text="a")) is None


def test_health_may_take_its_seconds() -> None:
    """`/health` generates a token and looks for it once a second."""
    assert SGLANG.health_takes > 1
    assert SGLANG.dead_statuses == frozenset()


def test_code_beside_the_weights_runs_only_where_the_registry_trusts_it():
    """No flag, no code."""
    trusting = replace(PLAN, trust_remote_code=True)
    found = ["--trust-remote-code" in SGLANG.launch(plan).argv for plan in (PLAN, trusting)]
    assert found == [False, True]


def test_a_worker_that_sleeps_keeps_a_copy_of_its_weights() -> None:
    """Without one SGLang resumes with whatever lies in the memory that it gets back."""
    needed = {"--enable-memory-saver", "--enable-weights-cpu-backup"}
    assert needed <= set(flags(sleeps=True))
    assert not needed & set(flags())
