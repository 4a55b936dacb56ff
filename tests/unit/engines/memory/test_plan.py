"""What fits, with which cache, and what is offered where it does not."""

from dataclasses import replace

import pytest

from engines.memory.estimate import estimate, for_context
from engines.memory.habits import GIB
from engines.memory.plan import Claim, Place, plan, size
from tests.unit.engines.memory.models import FACTS, WISH

OVERHEAD = 1_780_000_000
REST = estimate(FACTS, WISH, 0, OVERHEAD).rest
ONE = for_context(FACTS.architecture, WISH)
ROOMY = Place(room=16 * GIB, whole=24 * GIB)
GPU = Place(room=160 * GIB, whole=80 * GIB, gpus=(80 * GIB, 80 * GIB))
ON_GPU = replace(WISH, device="cuda", share=0.9)


def made(place=ROOMY, **wished):
    return plan(FACTS, replace(WISH, **wished), place, OVERHEAD)


def test_lora_slots_take_both_factors_of_every_layer():
    """MODELS.md: slots x rank x 2 bytes x the sum of in and out, and of the embedding."""
    linear = 30 * (2 * (576 + 576) + 2 * (576 + 192) + 3 * (576 + 1536))
    assert made().estimate.lora == 4 * 16 * 2 * (linear + 576 + 49152)


def test_the_default_model_gets_its_gib():
    """16 requests of 2,048 tokens need 0.7 GiB; vLLM's own log says 46,592 tokens for one GiB."""
    assert (made().estimate.cache, made().estimate.tokens) == (GIB, 46_592)


@pytest.mark.parametrize(("wished", "gib"), [({"context": 8192}, 3), ({"context": 8192, "replicas": 2}, 3)])
def test_the_cache_grows_with_what_may_run_at_once(wished, gib):
    assert made(**wished).estimate.cache == gib * GIB


def test_caches_leave_three_quarters_of_the_machine_to_others():
    """256 requests of 8,192 tokens would take 45 GiB."""
    assert made(sequences=256, context=8192).estimate.cache == 6 * GIB


def test_a_cache_shrinks_before_a_model_is_refused():
    """Down to one whole request."""
    tight = Place(REST + ONE + 5 * 2**20, 24 * GIB)
    assert made(tight).fits
    assert ONE <= made(tight).estimate.cache <= tight.room - REST


def test_what_cannot_hold_one_request_is_refused_with_what_would_fit():
    short = made(Place(REST + ONE - 2**20, 24 * GIB))
    assert not short.fits
    assert "it needs at least" in short.reason
    assert "it would fit with context: 1920 or adapters.slots: 3" in short.reason


def test_an_offer_fits():
    """What is proposed is admitted by the same planner."""
    place = Place(2 * (REST + ONE), 24 * GIB)
    assert "replicas: 2" in made(place, replicas=5).reason
    assert made(place, replicas=2).fits
    assert not made(place, replicas=3).fits


def test_what_no_change_would_help_is_said_to_be_so():
    assert "no smaller context, slots or replicas" in made(Place(GIB, 24 * GIB)).reason


@pytest.mark.parametrize(("fixed", "fits"), [(ONE, True), (ONE - 1, False), (17 * GIB, False)])
def test_a_cache_that_the_registry_fixes_is_taken_or_refused(fixed, fits):
    found = made(cache=fixed)
    assert (found.fits, found.estimate.cache) == (fits, fixed)


def test_a_gpus_share_beyond_the_model_is_its_cache():
    found = plan(FACTS, ON_GPU, GPU, OVERHEAD)
    assert found.estimate.total == int(80 * GIB * 0.9)


@pytest.mark.parametrize(
    ("wished", "place"),
    [
        ({"replicas": 3}, GPU),
        ({"parallel": 4}, GPU),
        ({"share": 0.6, "replicas": 3}, GPU),
        ({}, replace(GPU, gpus=(60 * GIB, 60 * GIB))),
        ({"context": 4_000_000}, GPU),
    ],
)
def test_gpus_are_taken_whole_by_shares(wished, place):
    """More workers than places, a share that is in use already, a context that no share holds."""
    found = plan(FACTS, replace(ON_GPU, **wished), place, OVERHEAD)
    assert "GPU" in found.reason


def test_what_is_promised_of_gpus_is_taken_from_those():
    assert Place(10, 8, (6, 4)).without([Claim(3, (0,)), Claim(1, (0, 1))]) == Place(5, 8, (2, 3))


def test_what_is_promised_of_the_machine_is_taken_from_it():
    assert Place(10, 8).without([Claim(3), Claim(2)]) == Place(5, 8)


def test_what_a_plan_took_is_free_again_where_it_was():
    """On those GPUs, or of the machine."""
    planned = plan(FACTS, replace(ON_GPU, share=0.5, replicas=3), GPU, OVERHEAD)
    taken = GPU.without(planned.claim(seat) for seat in range(3))
    assert taken.without(planned.given_back()) == GPU
    assert taken.gpus == (0, 40 * GIB)


def test_each_worker_knows_its_gpus():
    """A share of one, or one of each where it is spread over several."""
    alone = plan(FACTS, replace(ON_GPU, share=0.4, replicas=3), GPU, OVERHEAD)
    spread = plan(FACTS, replace(ON_GPU, parallel=2), GPU, OVERHEAD)
    assert alone.gpus == ((0,), (1,), (0,))
    assert spread.gpus == ((0, 1),)
    assert [alone.claim(seat).gpus for seat in range(3)] == [(0,), (1,), (0,)]


def test_one_full_gpu_leaves_the_other_one():
    assert plan(FACTS, ON_GPU, GPU.without([Claim(70 * GIB, (1,))]), OVERHEAD).fits


def test_a_small_share_seats_several_workers_on_a_gpu():
    assert plan(FACTS, replace(ON_GPU, share=0.25, replicas=8), GPU, OVERHEAD).fits


@pytest.mark.parametrize(("octets", "said"), [(0, "0 MiB"), (45_441_024, "43 MiB"), (3_050_000_000, "2.8 GiB")])
def test_sizes_are_said_shortly(octets, said):
    assert size(octets) == said
