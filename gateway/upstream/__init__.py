"""Our HTTP/1.1 client for the relay path: `response` parses, `connection` moves bytes, `pool` keeps connections."""
