"""Makes and runs deploy/Dockerfile's images without a container engine: `python -m deploy.check`."""
