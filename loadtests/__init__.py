"""Load: the gateway benchmark (`python -m loadtests.gateway_bench`). Development only; nothing here is installed."""
