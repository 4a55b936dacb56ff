"""What it takes to run a house somewhere: images, compose, systemd, Prometheus, Grafana. Nothing here is installed."""
