"""Choosing a worker: pure. Policies take what is known of the workers and say which one; they never wait or count."""
