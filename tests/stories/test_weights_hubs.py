"""Checkpoints from servers that speak the protocols of Hugging Face's and ModelScope's hubs."""

import hashlib
import json

import pytest

from engines.adapters.against import Against
from engines.store.adapters import AdapterStore
from engines.store.arrival import Arrival
from engines.store.failures import StoreRefused
from engines.store.fetching import fetch_adapter
from engines.weights.cache import Cache
from engines.weights.failures import ChecksumMismatch, Damaged, FetchFailed, SourceRefused
from engines.weights.hubs.catalogue import hubs
from engines.weights.hubs.hub import Wish
from engines.weights.remote import MANIFEST, Fetching, fetch_remote
from engines.weights.source import parse
from engines.weights.verify import manifest
from tests import lora
from tests.stories.hubserver import Reply, ranged, serving
from tests.unit.engines.weights.checkpoints import safetensors

COMMIT = "1a2b3c4d" * 5
CONFIG = b'{"architectures": ["LlamaForCausalLM"]}'
WEIGHTS = safetensors(b"w" * 200_000)
REPOSITORY = {
    "config.json": CONFIG, "model.safetensors": WEIGHTS, "tokenizer.json": b"{}", "modeling_x.py": b"code",
    "pytorch_model.bin": b"pickle", "consolidated.safetensors": b"again", "README.md": b"#", "onnx/model.onnx": b"o",
    "m.Q4.gguf": b"GGUF",
}  # fmt: skip
TOKEN = "hf_canary_0123"


def git(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


class Hub:
    """One repository, `org/name`, behind either hub's API; large files come from another host."""

    def __init__(self, server, cdn, folder):
        self.server, self.cdn = server, cdn
        self.cache = Cache(folder)
        self.environ = {"HF_ENDPOINT": server.url, "MODELSCOPE_ENDPOINT": server.url}
        self.steps = []
        self.publish(REPOSITORY)

    def publish(self, files):
        siblings, entries = [], []
        for name, content in files.items():
            digest, large = hashlib.sha256(content).hexdigest(), not name.endswith((".json", ".py", ".md"))
            lfs = {"lfs": {"sha256": digest, "size": len(content), "pointerSize": 130}} if large else {}
            siblings.append({"rfilename": name, "size": len(content), "blobId": git(content), **lfs})
            entries.append({"Path": name, "Type": "blob", "Size": len(content), "Sha256": digest})
            self.cdn.files[f"/cdn/{name}"] = content
            moved = Reply(b"", 302, {"Location": f"{self.cdn.url}/cdn/{name}?signature=secret"})
            self.server.files[f"/org/name/resolve/{COMMIT}/{name}"] = (lambda _, m=moved: m) if large else content
            path = f"/api/v1/models/org/name/repo?Revision=v1&FilePath={name.replace('/', '%2F')}"
            self.server.files[path] = content
        self.cdn.files |= {f"/cdn/{name}?signature=secret": content for name, content in files.items()}
        listed = json.dumps({"sha": COMMIT, "siblings": siblings}).encode()
        self.server.files["/api/models/org/name/revision/main?blobs=true"] = listed
        folder = {"Path": "onnx", "Type": "tree"}
        answer = {"Code": 200, "Success": True, "Data": {"Files": [folder, *entries]}}
        self.server.files["/api/v1/models/org/name/repo/files?Revision=v1&Recursive=True"] = json.dumps(answer).encode()

    async def fetch(self, source="hf://org/name@main", *, refresh=False, **wish):
        fetching = Fetching(hubs(self.environ, self.cache.folder("")), self.environ, wait=self._wait)
        wished = Wish(parse(source, self.cache.folder("")).address, **wish)
        return await fetch_remote(wished, self.cache, fetching, lambda *told: self.steps.append(told), refresh=refresh)

    async def _wait(self, _):
        pass


@pytest.fixture
async def hub(tmp_path):
    async with serving() as server, serving() as cdn:
        yield Hub(server, cdn, tmp_path / "cache")


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


SOURCES = ["hf://org/name@main", "modelscope://org/name@v1"]


@pytest.mark.parametrize("source", SOURCES)
async def test_a_checkpoint_is_what_an_engine_loads_and_nothing_else(hub, source):
    """No pickles, no code, no second copy of the weights; its own manifest lies with it."""
    path, found = await hub.fetch(source)
    assert names(path) == [MANIFEST, "config.json", "model.safetensors", "tokenizer.json"]
    assert found == manifest(path)
    written = json.loads((path / MANIFEST).read_text())
    assert (written["source"], written["sha256"]) == (source, found)
    assert written["files"][1] == {
        "name": "model.safetensors", "size": len(WEIGHTS), "sha256": hashlib.sha256(WEIGHTS).hexdigest()
    }  # fmt: skip


async def test_the_branch_is_resolved_once(hub):
    """Files come by the commit, and a restart asks nobody."""
    await hub.fetch()
    asked = len(hub.server.requests)
    path, _ = await hub.fetch()
    assert json.loads((path / MANIFEST).read_text())["revision"] == COMMIT
    assert len(hub.server.requests) == asked


async def test_a_refresh_asks_whether_the_branch_has_moved(hub):
    """Another content is another folder; the old one stays."""
    old, _ = await hub.fetch()
    hub.publish({**REPOSITORY, "tokenizer.json": b'{"new": 1}'})
    new, _ = await hub.fetch(refresh=True)
    assert ((old / "tokenizer.json").read_bytes(), (new / "tokenizer.json").read_bytes()) == (b"{}", b'{"new": 1}')
    assert (await hub.fetch())[0] == new


@pytest.mark.parametrize("source", ["hf://org/name@main/m.Q4.gguf", "modelscope://org/name@v1/m.Q4.gguf"])
async def test_one_file_of_a_repository(hub, source):
    """A GGUF, to be converted."""
    path, found = await hub.fetch(source)
    assert (path.name, path.read_bytes(), found) == ("m.Q4.gguf", b"GGUF", hashlib.sha256(b"GGUF").hexdigest())


async def test_a_file_that_is_not_there_is_told_with_those_that_are(hub):
    """The GGUF files first."""
    with pytest.raises(FetchFailed, match=r"has no other.gguf; it has m.Q4.gguf"):
        await hub.fetch("hf://org/name@main/other.gguf")


async def test_a_token_reaches_the_hub_and_no_other_host(hub):
    """The CDN's address is signed; it needs no secret of ours, and gets none."""
    await hub.fetch(token=TOKEN)
    assert {request.headers.get("authorization") for request in hub.server.requests} == {f"Bearer {TOKEN}"}
    assert hub.cdn.requests
    assert not [request for request in hub.cdn.requests if TOKEN in str(request.headers)]


async def test_the_variable_that_people_have_set_is_used(hub):
    """HF_TOKEN, as the hub's own tools do."""
    hub.environ |= {"HF_TOKEN": TOKEN}
    await hub.fetch()
    assert hub.server.requests[0].headers["authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    ("status", "said"), [(401, "The token that was sent"), (403, "accept its terms on http"), (404, "not there")]
)
@pytest.mark.parametrize("source", SOURCES)
async def test_a_refusal_names_neither_token_nor_signature(hub, status, said, source):
    """It says what to do."""
    hub.server.files = {path: lambda _: Reply(b"token " + TOKEN.encode(), status) for path in hub.server.files}
    with pytest.raises(FetchFailed, match=said) as failed:
        await hub.fetch(source, token=TOKEN)
    assert TOKEN not in str(failed.value)


async def test_a_refusing_cdn_is_told_without_its_signature(hub):
    """A signed address is a secret too."""
    hub.cdn.files = dict.fromkeys(hub.cdn.files, lambda _: Reply(b"", 403))
    with pytest.raises(FetchFailed, match="403") as failed:
        await hub.fetch()
    assert "secret" not in str(failed.value)


async def test_a_cut_on_the_cdn_asks_the_hub_for_a_new_address(hub):
    """Signatures expire; the range goes on."""
    path = "/cdn/model.safetensors?signature=secret"
    hub.cdn.once(path, lambda request: ranged(WEIGHTS, request, cut=60_000))
    await hub.fetch()
    ranges = [request.headers.get("range") for request in hub.cdn.requests if request.path == path]
    assert ranges == [None, "bytes=60000-"]
    assert hub.server.paths().count(f"/org/name/resolve/{COMMIT}/model.safetensors") == 2


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
async def test_the_hubs_own_sums_are_believed_and_not_its_bytes(hub, name):
    """Large files by SHA-256, small ones by their git hash; after that nothing is in the cache."""
    length = len(REPOSITORY[name])
    for server in (hub.server, hub.cdn):
        server.files |= {path: b"x" * length for path in server.files if path.partition("?")[0].endswith(f"/{name}")}
    with pytest.raises(ChecksumMismatch, match=name):
        await hub.fetch()
    assert not hub.cache.folder("").exists()


async def test_a_server_that_lies_about_the_length_is_refused(hub):
    """Before its bytes are taken."""
    hub.cdn.files["/cdn/model.safetensors?signature=secret"] = b"short"
    with pytest.raises(FetchFailed, match=f"the list says {len(WEIGHTS)} bytes, the server 5"):
        await hub.fetch()


@pytest.mark.parametrize(
    "name", ["../evil.json", "/etc/evil.json", "a/../../evil.json", ".git/config.json", "a\\b.json"]
)
async def test_names_that_lead_out_of_the_folder_are_refused(hub, name):
    """Whoever runs the hub must not write where they like."""
    hub.publish({**REPOSITORY, name: b"{}"})
    with pytest.raises(FetchFailed, match="which is not taken"):
        await hub.fetch()
    assert not list(hub.cache.folder("").parent.parent.rglob("*evil*"))


async def test_pickles_are_refused_unless_they_are_allowed(hub):
    """Reading them runs code."""
    hub.publish({name: content for name, content in REPOSITORY.items() if not name.endswith(".safetensors")})
    with pytest.raises(SourceRefused, match=r"only pytorch_model.bin, which runs code.*allow_pickle: true"):
        await hub.fetch()
    path, _ = await hub.fetch(allow_pickle=True)
    assert "pytorch_model.bin" in names(path)


async def test_code_is_fetched_only_where_it_is_trusted(hub):
    """What is not there cannot be run by mistake."""
    path, _ = await hub.fetch(trust_remote_code=True)
    assert "modeling_x.py" in names(path)
    path, _ = await hub.fetch()
    assert "modeling_x.py" not in names(path)


async def test_a_checkpoint_that_is_damaged_at_its_source_is_not_published(hub):
    """Its sums are right, its header is not."""
    hub.publish({**REPOSITORY, "model.safetensors": b"\xff" * 100})
    with pytest.raises(Damaged, match=r"model\.safetensors is damaged"):
        await hub.fetch()
    assert not hub.cache.folder("").exists()


async def test_what_the_registry_says_of_the_whole_is_checked(hub):
    """The sum of the manifest, as `sha256sum` lines give it."""
    _, found = await hub.fetch(sha256=None)
    assert (await hub.fetch(sha256=found))[1] == found
    with pytest.raises(ChecksumMismatch):
        await hub.fetch(sha256="0" * 64, refresh=True)


@pytest.mark.parametrize("answer", [b"<html>login</html>", b"[]", b'{"sha": 1}'])
@pytest.mark.parametrize("source", SOURCES)
async def test_a_page_that_is_no_list_is_told(hub, answer, source):
    """A captive portal, a wrong endpoint."""
    hub.server.files = dict.fromkeys(hub.server.files, answer)
    with pytest.raises(FetchFailed, match=r"_ENDPOINT|lists nothing"):
        await hub.fetch(source)


async def test_one_bar_tells_of_all_files(hub):
    """By bytes, and it ends at the end."""
    await hub.fetch()
    fractions = [fraction for _, fraction in hub.steps]
    assert fractions == sorted(fractions)
    assert hub.steps[-1][0].startswith("fetching org/name@1a2b3c4d1a2b: 3 of 3 files")
    assert fractions[-1] == 1.0


@pytest.mark.parametrize("source", ["hf://org/name@main", "modelscope://org/name@v1"])
async def test_an_adapter_comes_from_a_hub_into_the_store(hub, tmp_path, source):
    """Its two files and nothing else; the pickle and the optimizer beside them are never fetched."""
    folder = lora.write(tmp_path / "adapter", lora.config(r=1), lora.tensors(layers=1, rank=1))
    parts = {path.name: path.read_bytes() for path in folder.iterdir()}
    hub.publish({**parts, "training_args.bin": b"pickle", "README.md": b"#"})
    fetching = Fetching(hubs(hub.environ, tmp_path / "cache"), hub.environ)
    fetched = await fetch_adapter(source, hub.cache, fetching, lambda *_: None)
    store = AdapterStore(tmp_path / "adapters", clock=lambda: 0.0)
    await store.open()
    kept = await store.add(Arrival("small", "pirate", fetched, "ann", source), Against())
    assert names(await store.verify(kept)) == sorted(parts)
    assert kept.source == source
    assert not any("training_args" in path for path in (*hub.server.paths(), *hub.cdn.paths()))


async def test_a_hub_that_holds_no_adapter_is_refused(hub, tmp_path):
    fetching = Fetching(hubs(hub.environ, tmp_path / "cache"), hub.environ)
    with pytest.raises(SourceRefused, match=r"has no adapter_config\.json; it has "):
        await fetch_adapter("hf://org/name@main", hub.cache, fetching, lambda *_: None)
    with pytest.raises(StoreRefused, match="an adapter comes from"):
        await fetch_adapter("hf://org/name@main/m.gguf", hub.cache, fetching, lambda *_: None)
