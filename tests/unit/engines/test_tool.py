"""Programs inside an environment: their lines and their variables; running them is told in the stories."""

from pathlib import Path

import pytest

from engines.processes.program import Ended
from engines.tool import Message, Tool, ToolFailed, environ, parsed

TOOL = Tool(Path("/env/bin/python"), Path("/house/quantize/tools"), "perplexity")


def test_a_line_of_progress_is_understood():
    """One JSON object a line."""
    assert parsed('{"step": "tuning", "fraction": 0.5}') == Message("tuning", 0.5)
    assert parsed('{"result": {"perplexity": 26.2, "text_sha256": "ab"}}') == Message(
        result={"perplexity": 26.2, "text_sha256": "ab"}
    )


@pytest.mark.parametrize("line", ["", "hello", "[1]", '{"fraction": "half"}', '{"step": ', "null"])
def test_any_other_line_is_nothing(line):
    """Libraries print what they like."""
    assert parsed(line) is None


def test_a_tool_sees_its_own_package_and_its_environments_packages_only():
    """Nothing of the gateway's environment leaks in, and nothing is looked for on the network."""
    variables = environ(TOOL, {"PYTHONPATH": "/evil", "VIRTUAL_ENV": "/gateway", "HOME": "/root"})
    assert variables["PYTHONPATH"] == "/house/quantize"
    assert "VIRTUAL_ENV" not in variables
    assert variables["HOME"] == "/root"
    assert variables["HF_HUB_OFFLINE"] == "1"


def test_a_tool_may_write_bytecode():
    """Environments are installed without it, and importing torch uncompiled takes ten seconds longer each time."""
    assert "PYTHONDONTWRITEBYTECODE" not in environ(TOOL, {"PYTHONDONTWRITEBYTECODE": "1"})


def test_a_tool_is_started_as_a_module_of_its_package():
    """So that its files import one another."""
    assert TOOL.command == ("/env/bin/python", "-m", "tools.perplexity")


def test_a_failure_shows_the_last_words_and_knows_a_full_disk():
    """The caller answers the two differently."""
    failed = ToolFailed("tools.x", Ended(1, ("Traceback", "KeyError: 'a'")))
    assert "KeyError: 'a'" in str(failed)
    assert not failed.disk_full
    assert ToolFailed("tools.x", Ended(1, ("OSError: [Errno 28] No space left on device",))).disk_full
