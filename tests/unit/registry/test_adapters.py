"""A name of an adapter stands for one revision of one model's adapter, or for nothing."""

import msgspec
import pytest

from registry.adapters import AdapterView, Catalogue, encode, served_as
from registry.snapshot import ModelView, Names, Snapshot

A, B = "a" * 64, "b" * 64
PIRATE = AdapterView("m", "pirate", A, (B, A), 1)
MODELS = (
    ModelView("m", "vllm", "m", aliases=("x", "old"), adapter_slots=4),
    ModelView("n", "vllm", "n", adapter_slots=4),
    ModelView("bare", "vllm", "bare"),
)


def names(*adapters, before=None):
    return Names(Snapshot(1, models=MODELS, adapters=msgspec.Raw(encode(adapters))), before)


@pytest.mark.parametrize("name", ["m:pirate", "x:pirate", "pirate", "m:pirate@aaaaaaaa", f"x:pirate@{A}"])
def test_an_adapter_is_found_by_its_models_names_and_its_own(name):
    target = names(PIRATE).resolve(name)
    assert (target.needs, target.digest, target.model.name) == (served_as("m", "pirate", A), A, "m")


@pytest.mark.parametrize(
    "name", ["n:pirate", "m:other", "m:pirate@cccccccc", "m:pirate@aaa", "M:pirate", "m:", ":", "@"]
)
def test_what_is_not_there_resolves_to_nothing(name):
    assert names(PIRATE).resolve(name) is None


def test_an_older_revision_can_be_asked_for():
    assert names(PIRATE).resolve("m:pirate@bbbbbbbb").digest == B


def test_a_beginning_that_two_revisions_share_is_nobodys():
    twins = AdapterView("m", "pirate", A, (A, "a" * 63 + "b"))
    assert names(twins).resolve("m:pirate@aaaaaaaa") is None


def test_an_adapter_without_current_revision_is_only_found_by_digest():
    nameless = AdapterView("m", "pirate", "", (A,))
    found = names(nameless)
    assert (found.resolve("m:pirate"), found.resolve("m:pirate@aaaaaaaa").digest) == (None, A)


def test_a_name_that_two_models_have_needs_its_model():
    found = names(PIRATE, AdapterView("n", "pirate", B, (B,)))
    assert (found.resolve("pirate"), found.resolve("n:pirate").digest) == (None, B)


def test_a_model_needs_nothing_and_wins_over_an_adapter_of_its_name():
    assert names(AdapterView("m", "n", A, (A,))).resolve("n").needs == ""


def test_an_adapter_of_a_model_that_is_gone_is_gone():
    assert names(AdapterView("gone", "pirate", A, (A,))).resolve("pirate") is None


@pytest.mark.parametrize("name", ["left", "old:left", "m:left"])
def test_an_adapter_is_never_another_models_whose_alias_is_what_its_own_was_called(name):
    assert names(AdapterView("old", "left", A, (A,))).resolve(name) is None


def test_what_a_model_that_is_gone_has_left_keeps_no_name_from_another():
    assert names(AdapterView("gone", "pirate", A, (A,)), PIRATE).resolve("pirate").needs == served_as("m", "pirate", A)


def test_a_model_without_slots_has_no_adapters():
    """It had some once: nobody is to wait for them, or to find them listed."""
    found = names(AdapterView("bare", "pirate", A, (A,)))
    assert (found.resolve("bare:pirate"), [each for each in found.listed() if each.adapter]) == (None, [])
    assert "bare:pirate" not in found.near("bare:other", 9)[0]


def test_an_unchanged_catalogue_is_not_read_again():
    first = names(PIRATE)
    again, other = names(PIRATE, before=first), names(before=first)
    assert (again.catalogue is first.catalogue, other.catalogue.adapters) == (True, ())


def test_adapters_are_listed_after_the_models():
    assert [each.requested for each in names(PIRATE).listed()] == ["m", "x", "old", "n", "bare", "m:pirate"]


def test_another_revision_of_a_target_is_called_otherwise():
    target = names(PIRATE).resolve("pirate").at(B)
    assert (target.served_name, target.requested) == (served_as("m", "pirate", B), "pirate")


def test_a_damaged_catalogue_is_refused():
    with pytest.raises(msgspec.DecodeError):
        Catalogue(b'[{"model": 1}]')
