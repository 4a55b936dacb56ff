"""Who is asked for weights, and with which token."""

import pytest

from engines.weights.failures import FetchFailed
from engines.weights.hubs.hub import Wish
from engines.weights.hubs.huggingface import HuggingFace
from engines.weights.hubs.modelscope import ModelScope
from engines.weights.source import Address

HUBS = [(HuggingFace, "HF_TOKEN"), (ModelScope, "MODELSCOPE_API_TOKEN")]
ADDRESS = Address("hf://a/b@main", "hf", "a/b", "main")


@pytest.mark.parametrize(("hub", "variable"), HUBS)
def test_the_token_of_the_environment_is_sent(hub, variable):
    """What a shell leaves around it is not part of it; the registry's token is the nearer one."""
    door = hub({variable: " hf_abc\n"}).door(Wish(ADDRESS))
    assert door.secrets["Authorization"] == "Bearer hf_abc"
    own = hub({variable: "hf abc"}).door(Wish(ADDRESS, token="hf_own"))
    assert own.secrets["Authorization"] == "Bearer hf_own"


@pytest.mark.parametrize("token", ["hf SECRET", "hf_\nSECRET", "hf_SECRÉT", "hf_SECRET\x00", "hf_SECRET\udcff"])
@pytest.mark.parametrize(("hub", "variable"), HUBS)
def test_what_no_header_can_hold_is_no_token(hub, variable, token):
    """It is refused by its name, before a client would quote it or break on it."""
    with pytest.raises(FetchFailed, match=rf"\${variable} does not hold a token") as refused:
        hub({variable: token}).door(Wish(ADDRESS))
    assert "SECR" not in str(refused.value)


@pytest.mark.parametrize(("hub", "variable"), HUBS)
def test_without_a_token_none_is_sent(hub, variable):
    assert hub({variable: " "}).door(Wish(ADDRESS)).secrets == {}
