"""A model's workers: `worker` is the one seam to a worker's HTTP, `pool` leases them, `house` holds all pools."""
