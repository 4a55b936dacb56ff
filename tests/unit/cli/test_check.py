"""What `enginehouse check` prints."""

import json

from cli.__main__ import main

RIGHT = "models:\n  m: {source: ., engine: vllm}\n"
WRONG = "models:\n  m: {source: ., engine: vllm, replicas: many}\n  n: {source: ., engin: vllm}\n"


def test_a_right_file_is_said_to_be_right(tmp_path, capsys):
    """In one line, and in another why no more can be said of its memory; exit code 0."""
    file = tmp_path / "r.yaml"
    file.write_text(RIGHT)
    assert main(["check", "--no-parser", str(file)]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"{file}: no faults in 1 model"
    assert second.startswith("note: models.m: memory not known: ")


def test_options_that_could_not_be_checked_are_a_note(tmp_path, capsys):
    """No parser is installed: said with what installs it, and no fault."""
    file = tmp_path / "r.yaml"
    file.write_text(RIGHT)
    assert main(["check", "--cache", str(tmp_path), str(file)]) == 0
    assert "note: vllm's options were not checked: `enginehouse engines install" in capsys.readouterr().out


def test_every_fault_has_its_line(tmp_path, capsys):
    """As compilers write them, so that editors can jump there."""
    file = tmp_path / "r.yaml"
    file.write_text(WRONG)
    assert main(["check", str(file)]) == 1
    out = capsys.readouterr().out
    assert f"{file}:2: models.m.replicas" in out
    assert f"{file}:3: " in out


def test_programs_get_json(tmp_path, capsys):
    """The same faults as data; the exit code is the same."""
    file = tmp_path / "r.yaml"
    file.write_text(WRONG)
    assert main(["check", "--json", str(file)]) == 1
    told = json.loads(capsys.readouterr().out)
    assert not told["ok"]
    assert {fault["line"] for fault in told["faults"]} == {2, 3}


def test_a_missing_file_is_a_fault(tmp_path, capsys):
    """Not a traceback."""
    assert main(["check", str(tmp_path / "none.yaml")]) == 1
    assert "there is no such file" in capsys.readouterr().out
