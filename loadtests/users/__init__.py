"""What Locust's users do; all but `run` works without Locust, and is tested so."""
