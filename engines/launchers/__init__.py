"""Where workers run: one file a place, each a `Launcher`; `engines.supervisor.main` holds the table of them."""
