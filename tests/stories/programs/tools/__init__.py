"""A package of tools as `engines.tool` runs them, scripted."""
