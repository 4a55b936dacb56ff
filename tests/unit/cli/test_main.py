"""How the command ends."""

import pytest

from cli.__main__ import main


def test_the_version_is_told(capsys):
    """The installed package's own."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("enginehouse ")


def test_a_misspelled_verb_is_a_mistake(capsys):
    """Exit code 2, the nearest verb, no traceback."""
    assert main(["chekc"]) == 2
    assert "check" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["serve", "check", "status", "models", "pull", "engines"])
def test_every_verb_explains_itself(verb, capsys):
    """--help works for each."""
    assert main([verb, "--help"]) == 0
    assert "Usage: enginehouse" in capsys.readouterr().out
