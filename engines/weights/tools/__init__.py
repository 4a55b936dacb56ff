"""Programs that run inside the `quantizer` environment, never beside the gateway: see `engines.tool`."""
