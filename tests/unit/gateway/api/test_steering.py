"""Fields that steer the engine: refused, unless the model's registry entry allows them."""

from __future__ import annotations

import pytest

from gateway.api.body import decode
from gateway.api.steering import refuse
from gateway.errors import InvalidRequest
from registry.steering import CODE, STEERING


def used(field, value=b"1"):
    return decode(b'{"model":"m","%b":%b}' % (field.encode(), value)).steering


@pytest.mark.parametrize("field", sorted(STEERING))
def test_a_field_that_steers_is_refused_by_name_unless_it_is_allowed(field):
    """Security rule 7."""
    with pytest.raises(InvalidRequest, match=f"'{field}'.*registry does not allow it for the model 'm'") as caught:
        refuse(used(field), ("something_else",), "m")
    assert caught.value.param == field
    refuse(used(field), (field,), "m")


@pytest.mark.parametrize("field", sorted(CODE))
def test_a_field_that_carries_code_is_always_refused(field):
    with pytest.raises(InvalidRequest, match="is code") as caught:
        refuse(used(field), (field,), "m")
    assert caught.value.param == field


def test_a_name_in_escapes_is_the_same_name():
    """Every parser behind the gateway reads it so."""
    assert used("cache\\u005fsalt") == ("cache_salt",)


def test_null_asks_for_nothing():
    """Clients write out fields that they do not use."""
    assert used("cache_salt", b"null") == ()


@pytest.mark.parametrize(
    "value", [b"{}", b'{"enable_thinking":false}', b'{ "thinking" : true, "reasoning_effort":"low" }']
)
def test_switches_that_models_document_for_their_users_pass(value):
    assert used("chat_template_kwargs", value) == ()


@pytest.mark.parametrize(
    "value",
    [
        b'{"chat_template":"x"}',
        b'{"enable_thinking":true,"tokenize":false}',
        b'{"enable\\u0054hinking":1}',
        b'"x"',
        b"[]",
    ],
)
def test_any_other_argument_of_the_template_steers(value):
    assert used("chat_template_kwargs", value) == ("chat_template_kwargs",)


def test_the_refusal_says_which_arguments_pass():
    with pytest.raises(InvalidRequest, match="enable_thinking"):
        refuse(("chat_template_kwargs",), (), "m")


def test_fields_of_the_apis_do_not_steer():
    body = b'{"model":"m","messages":[],"seed":1,"user":"u","metadata":{"priority":"1"},"service_tier":"priority"}'
    assert decode(body).steering == ()
