"""vLLM's command line, environment, calls and bodies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from engines.engine import LaunchPlan, LaunchRefused
from engines.vllm import VLLM

PLAN = LaunchPlan(
    python=Path("/env/bin/python"),
    weights=Path("/weights"),
    served_name="small",
    host="127.0.0.1",
    port=9000,
    key="secret",
    layout="awq",
)


def flags(**changes: object) -> list[str]:
    return list(VLLM.launch(replace(PLAN, **changes)).argv[3:])


def test_the_module_is_started_by_the_environments_python() -> None:
    assert VLLM.launch(PLAN).argv[:3] == ("/env/bin/python", "-m", "vllm.entrypoints.openai.api_server")


def test_the_address_and_the_name_are_ours() -> None:
    expected = ["--model=/weights", "--served-model-name=small", "--host=127.0.0.1", "--port=9000"]
    assert flags()[:4] == expected


def test_the_key_is_in_the_environment_and_never_in_argv() -> None:
    launch = VLLM.launch(PLAN)
    assert launch.env["VLLM_API_KEY"] == "secret"
    assert "secret" not in " ".join(launch.argv)


def test_the_developers_routes_stay_off() -> None:
    assert "VLLM_SERVER_DEV_MODE" not in VLLM.launch(PLAN).env


def test_a_forced_tool_call_follows_its_schema() -> None:
    """Seen on SmolLM2: with vLLM's structural tags the call came back as text."""
    assert VLLM.launch(PLAN).env["VLLM_ENFORCE_STRICT_TOOL_CALLING"] == "0"


def test_workers_that_share_cores_do_not_bind_their_threads() -> None:
    """Bound, each of them takes the machine's first cores, and a second worker gets no CPU beside a busy one."""
    env = VLLM.launch(replace(PLAN, threads=3)).env
    assert (env["VLLM_CPU_OMP_THREADS_BIND"], env["OMP_NUM_THREADS"], env["OMP_WAIT_POLICY"]) == (
        "nobind",
        "3",
        "PASSIVE",
    )


@pytest.mark.parametrize("changes", [{"threads": None}, {"threads": 3, "device": "cuda"}], ids=str)
def test_elsewhere_the_engine_places_its_threads(changes: dict[str, object]) -> None:
    """On GPUs, and where nobody knows the machine's cores."""
    assert not [name for name in VLLM.launch(replace(PLAN, **changes)).env if "OMP_" in name]


def test_adapters_are_off_without_slots() -> None:
    launch = VLLM.launch(PLAN)
    assert "--enable-lora" not in launch.argv
    assert "VLLM_ALLOW_RUNTIME_LORA_UPDATING" not in launch.env


def test_adapters_get_slots_and_a_rank_that_vllm_knows() -> None:
    launch = VLLM.launch(replace(PLAN, adapter_slots=4, adapter_max_rank=12))
    assert {"--enable-lora", "--max-loras=4", "--max-cpu-loras=4", "--max-lora-rank=16"} <= set(launch.argv)
    assert launch.env["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "1"


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("enforce_eager", True, ["--enforce-eager"]),
        ("enable-prefix-caching", False, ["--no-enable-prefix-caching"]),
        ("max_num_seqs", 16, ["--max-num-seqs=16"]),
        ("allowed_media_domains", ("a", "b"), ["--allowed-media-domains", "a", "b"]),
        ("compilation_config.cudagraph_mode", "NONE", ["--compilation-config.cudagraph_mode=NONE"]),
        ("revision", "--trust-remote-code", ["--revision=--trust-remote-code"]),
        ("allowed_media_domains", ("--trust-remote-code",), ["--allowed-media-domains=--trust-remote-code"]),
    ],
)
def test_options_become_flags(option: str, value: object, expected: list[str]) -> None:
    """A value that begins with a dash stays a value (FAULTS, security rule 5)."""
    spoken = flags(options={option: value})
    assert [word for word in spoken if word in expected] == expected


def test_a_list_cannot_smuggle_in_a_flag() -> None:
    with pytest.raises(LaunchRefused, match="begins with a dash"):
        flags(options={"allowed_media_domains": ("a", "--trust-remote-code")})


def test_an_option_is_given_once() -> None:
    """The registry's spelling replaces our default, whichever way it is spelt."""
    spoken = flags(options={"max-num-seqs": 4, "tool_call_parser": "pythonic"})
    assert [word for word in spoken if "seqs" in word or "parser" in word] == [
        "--max-num-seqs=4",
        "--tool-call-parser=pythonic",
    ]


def test_tool_choice_can_be_switched_off() -> None:
    spoken = flags(options={"enable_auto_tool_choice": False})
    assert [word for word in spoken if "tool" in word] == ["--no-enable-auto-tool-choice"]


@pytest.mark.parametrize(("options", "expected"), [({}, 256), ({"max_num_seqs": 16}, 16), ({"max-num-seqs": 8}, 8)])
def test_the_engine_and_the_balancer_agree_on_capacity(options: dict[str, object], expected: int) -> None:
    assert VLLM.capacity(options) == expected
    assert f"--max-num-seqs={expected}" in flags(options=options)


def test_the_cpu_build_is_told_its_memory() -> None:
    """The planner's figure, or 1 GiB; the registry's own figure comes first. A GPU is filled by vLLM itself."""
    spoken = {name: [word for word in words if "kv-cache" in word] for name, words in {
        "told": flags(kv_cache=5), "untold": flags(), "fixed": flags(options={"kv_cache_memory_bytes": "2G"}),
        "cuda": flags(device="cuda"),
    }.items()}  # fmt: skip
    told, untold, fixed = (f"--kv-cache-memory-bytes={figure}" for figure in ("5", 1024**3, "2G"))
    assert spoken == {"told": [told], "untold": [untold], "fixed": [fixed], "cuda": []}


def test_an_unchanged_body_is_the_same_object() -> None:
    """The hot path: nothing to change, nothing to do."""
    body = b'{"model":"small"}'
    assert VLLM.prepare(body, served_name=None, want_usage=False) is body


def test_a_public_name_becomes_the_served_one() -> None:
    assert VLLM.prepare(b'{"model":"alias"}', served_name="small", want_usage=False) == b'{"model":"small"}'


def test_calls_are_vllms() -> None:
    assert (VLLM.health().path, VLLM.warm_up("m").path) == ("/health", "/v1/completions")
    assert VLLM.load_adapter("a", Path("/p")).body == b'{"lora_name":"a","lora_path":"/p"}'
    assert VLLM.unload_adapter("a").body == b'{"lora_name":"a"}'


def test_code_beside_the_weights_runs_only_where_the_registry_trusts_it():
    """No flag, no code."""
    trusting = replace(PLAN, trust_remote_code=True)
    found = ["--trust-remote-code" in VLLM.launch(plan).argv for plan in (PLAN, trusting)]
    assert found == [False, True]


def test_what_sleep_needs_is_opened_only_where_it_is_configured() -> None:
    """Whatever the options say: the development server has more routes than those two (FAULTS, security rule 4)."""
    asleep = VLLM.launch(replace(PLAN, sleeps=True, options={"enable_sleep_mode": False}))
    assert "--enable-sleep-mode" in asleep.argv
    assert asleep.env["VLLM_SERVER_DEV_MODE"] == "1"
    assert not any("sleep-mode" in word for word in flags())
    assert "VLLM_SERVER_DEV_MODE" not in VLLM.launch(PLAN).env
