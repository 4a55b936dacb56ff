"""What happens around every request: pure ASGI, one file a concern, one ordered list in `app`."""
