"""The soak: mixed load for a long time, a worker killed again and again, and an explanation for every failure."""
