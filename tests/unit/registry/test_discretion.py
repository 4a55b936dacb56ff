"""Folders of this machine are told to nobody who is elsewhere."""

from __future__ import annotations

import pytest

from registry.discretion import discreet, discreetly

SAID = [
    ("/srv/a house/adapters/store.sqlite: Input/output error", "store.sqlite: Input/output error"),
    ("the disk is full: /srv/state/adapters. Free some", "the disk is full: adapters. Free some"),
    ("no folder '/srv/in/dog', nor /srv/in/cat/", "no folder 'dog', nor cat"),
    ("/srv/in", "in"),
    ("https://host/a/b/ answered 404", "https://host/a/b/ answered 404"),
    ("hf://me/cat@main, s3://bucket/a/b", "hf://me/cat@main, s3://bucket/a/b"),
    ("A is [4, 8] and/or B", "A is [4, 8] and/or B"),
    ("org/m:cat@01234567 on org-m-0.1", "org/m:cat@01234567 on org-m-0.1"),
    ("", ""),
]


@pytest.mark.parametrize(("said", "shown"), SAID)
def test_a_file_is_called_by_its_name(said, shown):
    assert discreet(said) == shown


def test_all_texts_of_a_value_are_told_so():
    assert discreetly({"a": ["/x/y", {"b": ("/p/q: no", 1)}], "c": None}) == {
        "a": ["y", {"b": ["q: no", 1]}],
        "c": None,
    }
