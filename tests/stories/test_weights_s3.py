"""Weights from a bucket: the real botocore, in its own environment, on a server that speaks a little S3."""

import hashlib
import os
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest

from cli.folders import cache_folder
from engines.environments.environment import ensure
from engines.progress import silent
from engines.weights.cache import Cache
from engines.weights.failures import ChecksumMismatch, FetchFailed
from engines.weights.hubs.hub import Wish
from engines.weights.hubs.s3 import S3, signing
from engines.weights.remote import MANIFEST, Fetching, fetch_remote
from engines.weights.source import parse
from tests.stories.hubserver import Reply, etag, ranged, serving
from tests.unit.engines.weights.checkpoints import safetensors

WEIGHTS = safetensors(b"w" * 150_000)
KEYS = {
    "qwen/config.json": b'{"model_type": "qwen2"}', "qwen/model.safetensors": WEIGHTS, "qwen/": b"", "m.gguf": b"GGUF",
    "qwen2/other.json": b"{}",
}  # fmt: skip
SECRET = "canary/secret/key"


class Bucket:
    """`weights`, path-style, as `AWS_ENDPOINT_URL` says."""

    def __init__(self, server, tools, folder):
        self.server, self.keys = server, dict(KEYS)
        self.cache, self.tools = Cache(folder), tools
        self.refusal = None
        self.cut = None
        server.otherwise = self._answer
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        self.environ = kept | {
            "AWS_ENDPOINT_URL": server.url, "AWS_REGION": "eu-central-1", "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": SECRET, "HOME": str(folder),
        }  # fmt: skip

    def _answer(self, request):
        parts = urlsplit(request.path)
        asked = parse_qs(parts.query)
        if self.refusal:
            return Reply(f"<Error><Code>{self.refusal}</Code></Error>".encode(), 403)
        if "list-type" in asked:
            return Reply(self._listed(asked.get("prefix", [""])[0]), headers={"Content-Type": "application/xml"})
        key = unquote(parts.path).removeprefix("/weights/")
        if "X-Amz-Signature" not in asked or key not in self.keys:
            return Reply(b"", 403)
        if not key.endswith(".safetensors"):
            return ranged(self.keys[key], request)
        cut, self.cut = self.cut, None
        return ranged(self.keys[key], request, cut=cut)

    def _listed(self, prefix):
        rows = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(body)}</Size><ETag>{escape(etag(body))}</ETag></Contents>"
            for key, body in self.keys.items() if key.startswith(prefix)
        )  # fmt: skip
        return f"<ListBucketResult><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>".encode()

    async def fetch(self, source="s3://weights/qwen", **wish):
        hubs = {"s3": S3(signing(self.tools, self.environ, silent))}
        wished = Wish(parse(source, Path()).address, **wish)
        return await fetch_remote(wished, self.cache, Fetching(hubs, self.environ, wait=self._wait), lambda *_: None)

    async def _wait(self, _):
        pass


@pytest.fixture
async def bucket(tmp_path):
    """With the environment of the shared cache, where `make prepare` puts it."""
    tools = cache_folder(None, os.environ)
    await ensure("fetcher", tools, silent, environ=os.environ)
    async with serving() as server:
        yield Bucket(server, tools, tmp_path / "cache")


async def test_a_folder_of_a_bucket_is_a_checkpoint(bucket):
    """Only what lies below it; a cut goes on."""
    bucket.cut = 50_000
    path, _ = await bucket.fetch()
    assert sorted(file.name for file in path.iterdir()) == [MANIFEST, "config.json", "model.safetensors"]
    assert (path / "model.safetensors").read_bytes() == WEIGHTS
    assert "bytes=50000-" in [request.headers.get("range") for request in bucket.server.requests]


async def test_one_file_of_a_bucket(bucket):
    """Its sum is the registry's business."""
    wanted = hashlib.sha256(b"GGUF").hexdigest()
    path, found = await bucket.fetch("s3://weights/m.gguf", sha256=wanted)
    assert (path.read_bytes(), found) == (b"GGUF", wanted)


async def test_sums_beside_the_files_are_believed(bucket):
    """S3 knows none of its own."""
    bucket.keys["qwen/SHA256SUMS"] = f"{'0' * 64}  model.safetensors\n".encode()
    with pytest.raises(ChecksumMismatch, match=r"model\.safetensors"):
        await bucket.fetch()


@pytest.mark.parametrize(("code", "source", "said"), [
    ("AccessDenied", "s3://weights/qwen", r"AccessDenied.*Check that the credentials"),
    (None, "s3://weights/absent", "nothing lies there: check bucket and folder"),
])  # fmt: skip
async def test_a_refusal_says_what_to_check_and_no_secret(bucket, code, source, said):
    """Botocore's code, and our advice."""
    bucket.refusal = code
    with pytest.raises(FetchFailed, match=said) as failed:
        await bucket.fetch(source)
    assert SECRET not in str(failed.value)
    assert "X-Amz-" not in str(failed.value)
