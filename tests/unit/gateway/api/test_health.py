"""What anybody with an API key may know of the house's health."""

from __future__ import annotations

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from gateway.api.health import health
from gateway.pool.house import House
from tests.unit.gateway.builders import Clock, snapshot

REDIS = "Redis, by which hosts share adapters, fails: Error 111 connecting to {}. Connection refused."


@pytest.mark.parametrize("address", ["10.0.0.5:6379", "redis.lan:6379", "[fd00::1]:6379", "fd00::1:6379"])
def test_neither_folders_nor_servers_inside_are_told(address):
    """What is amiss is."""
    folder = "the shared folder /mnt/team/adapters is not there: is it mounted?"
    for trouble, shown in ((folder, folder.replace("/mnt/team/", "")), (REDIS.format(address), "its server")):
        house = House(Clock())
        house.publish(snapshot(reload_error="/srv/a/r.yaml:3: wrong\n/srv/a/r.yaml:4: wrong", store_trouble=trouble))
        app = FastAPI()
        app.include_router(health(house, lambda: None, "1", lambda: False))
        said = TestClient(app).get("/readyz?verbose").json()
        assert said["registry_error"] == "r.yaml:3: wrong\nr.yaml:4: wrong"
        assert shown in said["adapter_store_error"]
        assert address not in said["adapter_store_error"]
