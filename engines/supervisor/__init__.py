"""One per host: owns workers, gateways, the public socket and the snapshots. `main.serve` is the way in."""
