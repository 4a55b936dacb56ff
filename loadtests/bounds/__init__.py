"""What the worst bodies cost the gateway before they are refused or let through: `make bench-bounds`."""
