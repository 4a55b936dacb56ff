"""What the quantizer is told."""

import json

from engines.quantize.rules import resolve
from engines.quantize.run import CALIBRATION, HELD_OUT, recipe


def test_the_recipe_holds_everything_that_the_result_depends_on():
    """It is part of the checkpoint's digest too."""
    told = json.loads(recipe(resolve("int4", "vllm", "vllm-cpu")))
    assert (told["name"], told["bits"], told["group_size"], told["symmetric"]) == ("awq", 4, 32, False)
    assert {"iterations", "learning_rate", "samples", "length", "batch", "seed"} <= told["tuning"].keys()


def test_the_held_out_text_is_no_part_of_the_calibration():
    """What was tuned on cannot measure: not one longer line is in both."""
    lines = {line for line in CALIBRATION.read_text(encoding="utf-8").splitlines() if len(line) > 30}
    held_out = {line for line in HELD_OUT.read_text(encoding="utf-8").splitlines() if len(line) > 30}
    assert not lines & held_out
    assert "Paris" not in CALIBRATION.read_text(encoding="utf-8")
