"""What `enginehouse check` prints."""

import asyncio
import json

import pytest

from cli.__main__ import main
from engines.adapters.against import Against
from engines.store.adapters import AdapterStore
from engines.store.arrival import Arrival
from tests.unit.engines.ledger.rig import crafted

RIGHT = "models:\n  m: {source: 'pypi://p@1/m.gguf', engine: vllm}\n"
WRONG = "models:\n  m: {source: ., engine: vllm, replicas: many}\n  n: {source: ., engin: vllm}\n"


def test_a_right_file_is_said_to_be_right(tmp_path, capsys):
    """In one line, and in another why no more can be said of its memory; exit code 0."""
    file = tmp_path / "r.yaml"
    file.write_text(RIGHT)
    assert main(["check", "--no-parser", str(file)]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"{file}: no faults in 1 model"
    assert second == "note: models.m: memory not known before it is fetched"


def test_options_that_could_not_be_checked_are_a_note(tmp_path, capsys):
    """No parser is installed: said with what installs it, and no fault."""
    file = tmp_path / "r.yaml"
    file.write_text(RIGHT)
    assert main(["check", "--cache", str(tmp_path), str(file)]) == 0
    assert "note: vllm's options were not checked: `enginehouse engines install" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("there", "lacks"), [([], "has no config.json"), (["config.json"], "has no *.safetensors"), (["model.gguf"], "")]
)
@pytest.mark.parametrize("launcher", ["local", "ray"])
def test_a_folder_that_is_no_checkpoint_is_a_fault_once(tmp_path, capsys, there, lacks, launcher):
    """`pull` and `serve` would refuse it in the same words, wherever its workers run: its weights are prepared here."""
    (tmp_path / "w").mkdir()
    for name in there:
        (tmp_path / "w" / name).write_text("{}")
    file = tmp_path / "r.yaml"
    file.write_text(f"models:\n  m:\n    engine: vllm\n    launcher: {launcher}\n    source: w\n")
    assert main(["check", "--no-parser", str(file)]) == 1
    out = capsys.readouterr().out
    assert f"{file}:5: models.m.source: {tmp_path / 'w'}: not a checkpoint: it needs config.json" in out
    assert (out.count("not a checkpoint"), lacks in out) == (1, True)


@pytest.mark.parametrize(
    ("config", "said"),
    [("{", "config.json is not JSON"), ("[]", "is not a JSON object"), ("{}", "names no architecture")],
)
@pytest.mark.parametrize("quantization", ["none", "int4"])
def test_a_config_that_names_no_model_is_a_fault_once(tmp_path, capsys, config, said, quantization):
    """Whatever is to be made of it: no engine could tell how to load it."""
    (tmp_path / "w").mkdir()
    (tmp_path / "w/config.json").write_text(config)
    (tmp_path / "w/model.safetensors").touch()
    file = tmp_path / "r.yaml"
    file.write_text(f"models:\n  m:\n    engine: vllm\n    quantization: {quantization}\n    source: w\n")
    assert main(["check", "--no-parser", str(file)]) == 1
    out = capsys.readouterr().out
    assert f"{file}:5: models.m.source: {tmp_path / 'w'}: config.json" in out
    assert out.count(said) == 1


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


def test_what_is_pinned_and_not_there_is_a_note(tmp_path, capsys):
    """It may be added yet; a store that cannot be read is a note too, and no fault."""
    file, store = tmp_path / "r.yaml", tmp_path / "state/adapters/store.sqlite"
    file.write_text(RIGHT.replace("}", ", adapters: {slots: 1, pinned: [cat]}}"))
    words = ["check", "--no-parser", "--state", str(tmp_path / "state"), str(file)]
    assert main(words) == 0
    assert "note: m: 'cat' is pinned, and is neither declared nor stored" in capsys.readouterr().out
    assert not store.exists()
    store.parent.mkdir(parents=True)
    asyncio.run(keep(store.parent, crafted(tmp_path, 8)))
    assert main(words) == 0
    assert "'cat'" not in capsys.readouterr().out
    for each in store.parent.glob("store.sqlite*"):
        each.write_bytes(b"x" * 9999)
    assert main(words) == 0
    assert "cannot be looked up" in capsys.readouterr().out


async def keep(root, folder):
    store = AdapterStore(root, lambda: 0.0)
    await store.open()
    revision = await store.add(Arrival("m", "cat", folder, "ann"), Against())
    await store.promote("m", "cat", revision.digest, "ann")
