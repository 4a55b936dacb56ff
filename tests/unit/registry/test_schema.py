"""What editors, the default file and the documentation say is what `registry.spec` does."""

from __future__ import annotations

import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from registry import later, load, schema
from registry.steering import CODE, STEERING

ROOT = Path(__file__).parents[3]
DOCUMENTED = (ROOT / "docs/registry.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", DOCUMENTED, re.MULTILINE | re.DOTALL)


def test_the_shipped_schema_is_the_generated_one():
    """`python -m registry.schema > registry/schema.json` after a change of the spec."""
    assert (ROOT / "registry/schema.json").read_text(encoding="utf-8") == schema.text()


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(schema.schema())


@pytest.mark.parametrize("text", [*EXAMPLES, (ROOT / "model_registry.yaml").read_text(encoding="utf-8")])
def test_every_example_loads_and_fits_the_schema(text):
    """Including the default file. YAML 1.1 reads `off` as false, so it is quoted for this reader."""
    load.parse(text, ROOT / "r.yaml", {"WEIGHTS": "/w"}, lambda _: True)
    jsonschema.validate(yaml.safe_load(re.sub(r"\boff\b", "'off'", text)), schema.schema())


@pytest.mark.parametrize(
    "fields",
    [{"context": None}, {"replicas": "1"}, {"zzz": 1}, {"engine": "tgi"}, {"timeouts": {"connect": "off"}},
     {"aliases": ["a:b"]}, {"sha256": "x"}, {"options": {"zzz": {}}}, {"options": {"vllm": {"a": {}}}}],
)  # fmt: skip
def test_the_schema_refuses_what_the_loader_refuses(fields):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"models": {"a": {"engine": "vllm", **fields}}}, schema.schema())


def test_the_default_file_names_the_default_model():
    registry = load.load(ROOT / "model_registry.yaml", {})
    assert [(name, spec.aliases) for name, spec in registry.models.items()] == [("smollm2-135m", ("default",))]


def test_every_field_is_documented():
    missing = [
        field
        for shape in schema.schema()["$defs"].values()
        for field in shape["properties"]
        if f"`{field}`" not in DOCUMENTED
    ]
    assert missing == []


def test_every_field_that_steers_is_documented():
    documented = (ROOT / "docs/security.md").read_text(encoding="utf-8")
    assert [field for field in sorted(STEERING | CODE) if f"`{field}`" not in documented] == []


def test_every_word_that_comes_later_is_documented():
    words = set().union(*later.LATER.values()) - {later.A_MAPPING}
    assert [word for word in sorted(words) if f"`{word}`" not in DOCUMENTED] == []
