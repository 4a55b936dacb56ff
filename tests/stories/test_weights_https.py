"""Weights from a web server that cuts, lies and refuses: resumed, verified, or refused in a sentence."""

import asyncio
import hashlib

import pytest

from engines.weights.cache import Cache
from engines.weights.failures import ChecksumMismatch, FetchFailed, NoSpace, Offline
from engines.weights.hubs.catalogue import hubs
from engines.weights.hubs.hub import Wish
from engines.weights.remote import Fetching, fetch_remote
from engines.weights.source import parse
from tests.stories.hubserver import Reply, ranged, serving

CONTENT = bytes(range(256)) * 1200
SUM = hashlib.sha256(CONTENT).hexdigest()
PATH = "/w/m.gguf"


class Site:
    """A server with one file, and a cache that fetches from it."""

    def __init__(self, server, folder):
        self.server = server
        self.cache = Cache(folder)
        self.waits = []
        self.told = []
        server.files[PATH] = CONTENT

    async def fetch(self, wanted=None, environ=None, path=PATH, token=None, **wish):
        environ = environ or {}
        address = parse(self.server.url + path, self.cache.folder("")).address
        fetching = Fetching(hubs(environ, self.cache.folder("")), environ, wait=self._wait)
        wished = Wish(address, wanted, token, **wish)
        return await fetch_remote(wished, self.cache, fetching, lambda *told: self.told.append(told))

    async def _wait(self, seconds):
        self.waits.append(seconds)


@pytest.fixture
async def site(tmp_path):
    async with serving() as server:
        yield Site(server, tmp_path / "cache")


async def test_a_file_is_fetched_once(site):
    """The second time nobody is asked."""
    path, found = await site.fetch(SUM)
    assert (path.read_bytes(), found, path.name) == (CONTENT, SUM, "m.gguf")
    assert await site.fetch() == (path, SUM)
    assert site.server.paths() == [PATH]


async def test_a_cut_transfer_goes_on_where_it_was_cut(site):
    """Guarded by the entity tag that the first piece had."""
    site.server.once(PATH, lambda request: ranged(CONTENT, request, cut=100_000))
    path, _ = await site.fetch()
    assert path.read_bytes() == CONTENT
    again = site.server.requests[1].headers
    assert (again["range"], "if-range" in again) == ("bytes=100000-", True)


async def test_what_is_here_survives_giving_up(site):
    """Run again, it goes on; no byte is fetched twice."""
    for at in (50_000, 0, 0, 0, 0, 0):
        site.server.once(PATH, lambda request, at=at: ranged(CONTENT, request, cut=at))
    with pytest.raises(FetchFailed, match=r"was cut.*given up after 5 tries.*what is here already is kept"):
        await site.fetch()
    site.server.script.clear()
    path, _ = await site.fetch()
    assert path.read_bytes() == CONTENT
    assert site.server.requests[-1].headers["range"] == "bytes=50000-"


async def test_a_file_that_changed_meanwhile_is_fetched_anew(site):
    """If-Range: the server sends all of it, and nothing of the old is kept."""
    old = b"old" * 50_000
    site.server.once(PATH, lambda request: ranged(old, request, cut=10_000))
    path, _ = await site.fetch()
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    "lie",
    [{"Content-Range": "bytes 5-307199/307200"}, {"Content-Range": "nonsense"}, {"Content-Range": ""},
     {"Content-Range": "bytes 100000-307199/307200", "ETag": '"other"'}],
)  # fmt: skip
async def test_a_server_that_lies_about_the_range_is_asked_for_all(site, lie):
    """Pieces that may not fit are thrown away."""
    site.server.once(PATH, lambda request: ranged(CONTENT, request, cut=100_000))
    site.server.once(PATH, lambda _: Reply(CONTENT[100_000:], 206, lie))
    path, _ = await site.fetch()
    assert path.read_bytes() == CONTENT
    assert "range" not in site.server.requests[2].headers


async def test_pieces_that_do_not_fit_are_fetched_once_more_in_one(site):
    """A server that ignores If-Range and gives another file's end: only the sum can tell."""
    site.server.once(PATH, lambda _: Reply(b"x" * len(CONTENT), 200, {"ETag": '"same"'}, cut=70_000))
    span = f"bytes 70000-{len(CONTENT) - 1}/{len(CONTENT)}"
    site.server.once(PATH, lambda _: Reply(CONTENT[70_000:], 206, {"Content-Range": span}))
    path, _ = await site.fetch(SUM)
    assert path.read_bytes() == CONTENT


async def test_wrong_bytes_are_refused_and_nothing_of_them_is_kept(site):
    """Both sums are shown."""
    with pytest.raises(ChecksumMismatch, match=f"{SUM}.*should be {'0' * 64}"):
        await site.fetch("0" * 64)
    assert [path for path in site.cache.folder("").parent.rglob("*") if path.suffix in {".gguf", ".part"}] == []


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(b"", 401), r"\(401\).*Set \$NAME to a token that may read it and write `token: \$\{env:NAME\}`"),
        (Reply(b"", 403), r"\(403\)"),
        (Reply(b"", 404), r"not there \(404\). Check the spelling"),
        (Reply(b"", 418), "answered 418"),
        (Reply(b"", 429, {"Retry-After": "9999"}), "left alone for 9999 s: run it again then"),
        (Reply(b"x", 200, {"Content-Encoding": "gzip"}), "sent packed"),
        (Reply(b"x", 200, {"Content-Length": ""}), "does not say how long it is"),
        (Reply(b"", 302, {"Location": "ftp://x/"}), "redirected to nowhere"),
    ],
)
async def test_a_refusal_says_what_to_do(site, reply, said):
    """And is not tried again."""
    site.server.files[PATH] = lambda _: reply
    with pytest.raises(FetchFailed, match=said):
        await site.fetch()
    assert len(site.server.requests) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_server_that_is_busy_is_left_alone_as_long_as_it_asks(site, status):
    """Retry-After."""
    site.server.once(PATH, Reply(b"", status, {"Retry-After": "7"}))
    path, _ = await site.fetch()
    assert (path.read_bytes(), site.waits) == (CONTENT, [7.0])


async def test_redirects_in_a_circle_end(site):
    """With a sentence."""
    site.server.files[PATH] = lambda _: Reply(b"", 302, {"Location": PATH})
    with pytest.raises(FetchFailed, match="redirected more than 8 times"):
        await site.fetch()


async def test_too_little_space_is_seen_before_the_bytes_come(site):
    """By the length that the server tells."""
    site.cache = Cache(site.cache.folder("").parent, lambda _: 64_000_000 + 1000)
    with pytest.raises(NoSpace, match=r"fetching .* needs"):
        await site.fetch()


@pytest.mark.parametrize("switch", ["ENGINEHOUSE_OFFLINE", "HF_HUB_OFFLINE"])
async def test_offline_only_the_cache_is_used(site, switch):
    """What is not there is refused; nobody is asked."""
    with pytest.raises(Offline, match=rf"not in the cache, and \${switch} is set"):
        await site.fetch(environ={switch: "1"})
    assert site.server.requests == []
    path, _ = await site.fetch()
    assert (await site.fetch(environ={switch: "1"}))[0] == path


async def test_two_at_once_fetch_it_once(site):
    """The second waits for the first."""
    first, second = await asyncio.gather(site.fetch(), site.fetch())
    assert first == second
    assert site.server.paths() == [PATH]


async def test_a_cancelled_fetch_is_taken_up(site):
    """Ctrl-C, and later again."""
    site.server.once(PATH, lambda request: ranged(CONTENT, request, cut=80_000))
    halted = asyncio.Event()

    async def halt(_):
        halted.set()
        await asyncio.Event().wait()

    site._wait = halt
    fetching = asyncio.get_running_loop().create_task(site.fetch())
    await halted.wait()
    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching
    path, _ = await site.fetch()
    assert path.read_bytes() == CONTENT
    assert site.server.requests[1].headers["range"] == "bytes=80000-"
