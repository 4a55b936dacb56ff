"""What is said to a person, and that every code is explained."""

from engines.adapters.findings import Finding, Reason, shortened
from tests.sources import ROOT


def test_the_same_fault_of_many_layers_is_shown_a_few_times():
    many = [Finding(Reason.SHAPE_WRONG, f"layer {number}", "…") for number in range(30)]
    shown = shortened([Finding(Reason.DORA, "config", "…"), *many], 3)
    assert [each.where for each in shown] == ["config", "layer 0", "layer 1", "layer 2", "27 more places"]


def test_every_reason_code_is_in_the_documentation():
    """Scripts decide by them; none may be left unexplained."""
    text = (ROOT / "docs" / "adapters.md").read_text(encoding="utf-8")
    assert [reason for reason in Reason if f"`{reason}`" not in text] == []
