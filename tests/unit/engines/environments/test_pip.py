"""How pip is called and understood."""

from pathlib import Path

import pytest

from engines.environments.locks import Pin
from engines.environments.pip import (
    TORCH_INDEX,
    Installation,
    advice,
    install_command,
    local_builds,
    venv_command,
)

PYTHON = Path("/env/bin/python")
PIN = Pin("numpy", "2.4.6")


def test_an_installation_takes_the_pins_and_nothing_that_they_ask_for():
    """The list is frozen: dependencies would bring back what breaks the engine."""
    command = install_command(PYTHON, [PIN])
    assert command[-1] == "numpy==2.4.6"
    assert "--no-deps" in command
    assert command[command.index("--python") + 1] == "/env/bin/python"


def test_the_users_configuration_of_pip_is_not_replaced():
    """Another index is only ever added, and only when it was asked for."""
    assert not any("index" in word for word in install_command(PYTHON, [PIN]))
    command = install_command(PYTHON, [PIN], extra_index=TORCH_INDEX)
    assert command[command.index("--extra-index-url") + 1] == TORCH_INDEX
    assert "--index-url" not in command


def test_a_dry_run_installs_nothing():
    """It asks pip whether it would find the package."""
    assert "--dry-run" in install_command(PYTHON, [PIN], dry=True)
    assert "--dry-run" not in install_command(PYTHON, [PIN])


def test_an_environment_is_made_without_a_pip_of_its_own():
    """The gateway's pip installs from outside; a half-made environment is cleared."""
    assert "--without-pip" in venv_command(Path("/env"), anew=False)
    assert "--clear" not in venv_command(Path("/env"), anew=False)
    assert "--clear" in venv_command(Path("/env"), anew=True)


def test_a_local_version_is_a_build_that_the_public_index_cannot_have():
    """PEP 440: local versions are not allowed on PyPI."""
    torch = Pin("torch", "2.13.0+cpu")
    assert local_builds([PIN, torch]) == (torch,)


def test_progress_follows_pip_from_line_to_line():
    """While it collects: what it collects; while it unpacks: what comes next, by what is in place."""
    now = Installation(2)
    for line in ("Collecting numpy==2.4.6", "  Downloading numpy-2.4.6-cp311.whl (20.1 MB)"):
        now = now.heard(line)
    assert now.described(0) == ("fetching numpy (20.1 MB) (1/2)", pytest.approx(0.175))
    now = now.heard("Collecting torch==2.13.0+cpu").heard("Installing collected packages: Torch, numpy")
    assert now.described(0) == ("installing torch (1/2)", pytest.approx(0.35))
    assert now.described(1) == ("installing numpy (2/2)", pytest.approx(0.675))


def test_a_long_download_shows_how_far_it_is():
    """Torch alone takes minutes on a slow line."""
    now = Installation(2).heard("Collecting torch").heard("Downloading torch-2-cp311.whl (188 MB)")
    now = now.heard("Progress 94 of 188")
    assert now.described(0)[0] == "fetching torch (188 MB) 50% (1/2)"
    assert now.heard("Collecting numpy").described(0)[0] == "collecting numpy (2/2)"


def test_progress_never_exceeds_the_whole():
    """Packages that were there before may be replaced: the count can be off by some."""
    now = Installation(1).heard("Installing collected packages: a")
    assert now.described(5) == ("installing a (1/1)", pytest.approx(1.0))


def test_other_lines_of_pip_change_nothing():
    """Warnings and notices are for the log."""
    assert Installation(3).heard("WARNING: something") == Installation(3)


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        ("ERROR: No matching distribution found for torch", "pip config list"),
        ("Max retries exceeded with url", "network"),
        ("something new", "Run it again"),
    ],
)
def test_advice_names_what_to_try(line, word):
    """A person must not have to read pip's traceback."""
    assert word in advice([line])
