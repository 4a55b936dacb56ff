"""`make loadtest`: installs Locust, starts a house, runs Locust headless against it."""
