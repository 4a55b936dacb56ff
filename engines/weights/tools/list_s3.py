"""Lists what lies below a prefix of an S3 bucket, with an address for each object that is signed for some hours.

    python -m tools.list_s3 --bucket BUCKET --prefix PREFIX

botocore finds the credentials (variables, profiles, SSO, the machine's or the pod's role), the region and the endpoint
(`AWS_ENDPOINT_URL`), as it does for every other tool. Without credentials nothing is signed: public buckets.
"""

from __future__ import annotations

import argparse
import json

import botocore.session
from botocore import UNSIGNED
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

_MOST = 20_000
"""Objects: more than this is no checkpoint."""
_HOURS = 12 * 3600
_REGION = "x-amz-bucket-region"


def listed(bucket: str, prefix: str) -> list[dict[str, object]]:
    """Name, address, size and entity tag of every object whose key begins with `prefix`. Raises `ValueError`."""
    session = botocore.session.get_session()
    client = connected(session, session.get_config_variable("region") or "us-east-1")
    objects: list[dict[str, object]] = []
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        objects += page.get("Contents", ())
        region = page["ResponseMetadata"]["HTTPHeaders"].get(_REGION, client.meta.region_name)
        if len(objects) > _MOST:
            raise ValueError(f"there are more than {_MOST} objects below it: name the folder of one checkpoint")
    if not objects:
        raise ValueError("nothing lies there: check bucket and folder")
    if region != client.meta.region_name:
        client = connected(session, region)
    return [described(client, bucket, each) for each in objects]


def connected(session: botocore.session.Session, region: str) -> BaseClient:
    """A client that signs if there is something to sign with."""
    signature = "s3v4" if session.get_credentials() else UNSIGNED
    tries = {"mode": "standard", "total_max_attempts": 4}
    config = Config(signature_version=signature, connect_timeout=10, retries=tries)
    return session.create_client("s3", region_name=region, config=config)


def described(client: BaseClient, bucket: str, each: dict[str, object]) -> dict[str, object]:
    """One object as the fetcher needs it."""
    asked = {"Bucket": bucket, "Key": each["Key"]}
    url = client.generate_presigned_url("get_object", Params=asked, ExpiresIn=_HOURS)
    return {"key": each["Key"], "url": url, "size": each["Size"], "etag": each.get("ETag")}


def main() -> None:
    """List, or say why not."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bucket", required=True)
    parser.add_argument("--prefix", required=True)
    given = parser.parse_args()
    try:
        result = {"objects": json.dumps(listed(given.bucket, given.prefix))}
    except ClientError as refused:
        # Its words name the operation and the code; credentials are in neither.
        result = {"refused": str(refused)}
    except (BotoCoreError, ValueError) as fault:
        result = {"refused": str(fault)}
    print(json.dumps({"result": result}), flush=True)


if __name__ == "__main__":
    main()
