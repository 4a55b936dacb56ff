"""Virtual environments: one for each engine and tool, installed from a lock file."""
