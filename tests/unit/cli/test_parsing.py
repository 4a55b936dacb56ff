"""What is asked of an engine's own parser, and what its answers say against a registry."""

from __future__ import annotations

from cli.parsing import Question, placed, questions, refusals
from engines.parsers.ask import Verdict
from registry.load import load
from registry.spec import ModelSpec

FINE = Verdict(None, {})
SPEC = ModelSpec(
    engine="vllm", source=".", environments={"vllm": "vllm-cpu"}, options={"vllm": {"dtype": "x", "seed": 1}}
)
FILE = "models:\n  m:\n    engine: vllm\n    source: .\n    options:\n      vllm:\n        max-num-seqs: many\n"


def test_each_option_is_asked_about_alone_and_all_of_them_together():
    """A parser tells its first complaint only."""
    asked = questions("m", SPEC)
    assert [each.option for each in asked] == ["dtype", "seed", None]
    said = [{word for word in each.words if word in ("--dtype=x", "--seed=1")} for each in asked]
    assert said == [{"--dtype=x"}, {"--seed=1"}, {"--dtype=x", "--seed=1"}]


def test_nothing_is_asked_but_what_the_parser_reads():
    """Not the interpreter, not the module."""
    assert questions("m", SPEC)[0].words[0] == "--model=/weights"


def test_an_option_is_blamed_by_itself_and_the_whole_only_where_none_is():
    """Else each fault would be told twice."""
    asked = [Question("m", "dtype", ()), Question("m", None, ()), Question("n", "seed", ()), Question("n", None, ())]
    wrong = Verdict("wrong", {})
    found = refusals("vllm", asked, (wrong, wrong, FINE, wrong))
    assert [(each.model, each.option) for each in found] == [("m", "dtype"), ("n", None)]


def test_a_long_sentence_is_cut():
    """Some list hundreds of choices."""
    [found] = refusals("vllm", [Question("m", "dtype", ())], (Verdict("x" * 1000, {}),))
    assert len(found.sentence) < 500


def test_a_refusal_stands_at_the_line_of_its_option_however_it_is_spelled(tmp_path):
    """The file says `max-num-seqs`, the value inside `max_num_seqs`."""
    file = tmp_path / "r.yaml"
    file.write_text(FILE)
    asked = questions("m", load(file, {}).models["m"])
    found = refusals("vllm", asked, (Verdict("invalid int value: 'many'", {}), FINE))
    [fault] = placed(found, file, {})
    assert fault.line == 7
    said = "models.m.options.vllm.max-num-seqs: vllm's own parser says: invalid int value: 'many'"
    assert fault.message == said
