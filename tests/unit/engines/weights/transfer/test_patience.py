"""How often something is tried again, and what a refusal says."""

import pytest

from engines.weights.failures import FetchFailed
from engines.weights.transfer.patience import persevere
from engines.weights.transfer.refusals import Broken, Refusal, refusal, retry_after


class Attempts:
    """Fails with each of `faults`, then succeeds; every step may have brought something."""

    def __init__(self, faults, gains=()):
        self._faults = list(faults)
        self._gains = list(gains)
        self.far = 0
        self.waits = []

    async def once(self):
        self.far += self._gains.pop(0) if self._gains else 0
        if self._faults:
            raise self._faults.pop(0)
        return "done"

    async def wait(self, seconds):
        self.waits.append(seconds)

    async def run(self):
        return await persevere(self.once, lambda: self.far, self.wait)


async def test_pauses_grow_and_a_server_may_ask_for_longer_ones():
    """1, 2, 4 s; Retry-After where that is more."""
    attempts = Attempts([Broken("x"), Broken("x", 60.0), Broken("x"), Broken("x")])
    assert await attempts.run() == "done"
    assert attempts.waits == [1.0, 60.0, 4.0, 8.0]


async def test_five_failures_without_getting_further_are_enough():
    """The last words are told, and that nothing is lost."""
    with pytest.raises(FetchFailed, match=r"cut; given up after 5 tries.*run it again"):
        await Attempts([Broken("cut")] * 5).run()


async def test_whoever_gets_further_may_go_on():
    """A line that breaks every minute still brings it all."""
    attempts = Attempts([Broken("cut")] * 30, gains=[1] * 30)
    assert await attempts.run() == "done"
    assert set(attempts.waits) == {1.0}


@pytest.mark.parametrize(("value", "seconds"), [("7", 7.0), ("", 0.0), ("-1", 0.0), ("soon", 0.0), ("9" * 400, 0.0)])
def test_retry_after_is_a_number_of_seconds(value, seconds):
    """Everything else is as good as nothing."""
    assert retry_after(value) == seconds


@pytest.mark.parametrize(
    ("status", "wish", "said"),
    [
        (401, Refusal("m", variable="HF_TOKEN"), r"Set \$HF_TOKEN .* `token: \$\{env:HF_TOKEN\}`"),
        (401, Refusal("m", token_sent=True), "The token that was sent does not open it"),
        (403, Refusal("m", token_sent=True, page="https://h/m"), "accept its terms on https://h/m"),
        (403, Refusal("m", advice="Check the role"), "Check the role"),
        (404, Refusal("m", variable="HF_TOKEN"), "a private one is also hidden without a token"),
    ],
)
def test_a_refusal_says_what_to_do(status, wish, said):
    """In the words of that hub."""
    with pytest.raises(FetchFailed, match=said):
        raise refusal(status, {}, "https://h/x", wish)
