"""An adapter from a hub, as it comes to lie on this machine: the weights' own fetching, for an adapter's two files.

`engines.ledger.desk` calls it before `AdapterStore.add`, which copies what it finds: the cache may be deleted at
any time.
"""

from __future__ import annotations

from pathlib import Path

from engines.adapters.doctor import LIMITS
from engines.adapters.folder import PARTS
from engines.adapters.limits import Limits
from engines.store.failures import StoreRefused
from engines.tool import Told
from engines.weights.cache import Cache
from engines.weights.hubs.hub import Wish
from engines.weights.remote import Fetching, fetch_remote
from engines.weights.source import parse


async def fetch_adapter(
    source: str, cache: Cache, fetching: Fetching, told: Told, *, token: str | None = None, limits: Limits = LIMITS
) -> Path:
    """The folder that holds the two files of `hf://org/name@revision`, `modelscope://`, `s3://` or `https://host/folder/`.

    The hub is asked each time, for a folder may have changed; what has not changed is not fetched again. Raises
    `StoreRefused` for what is no such source, `WeightsFailed`.
    """
    address = parse(source, Path()).address
    if address is None or address.member:
        raise StoreRefused(
            f"{source}: an adapter comes from hf://, modelscope://, s3://, https://host/folder/ or a path"
        )
    wish = Wish(address, token=token, parts=PARTS, largest=limits.weights)
    folder, _ = await fetch_remote(wish, cache, fetching, told, refresh=True)
    return folder
