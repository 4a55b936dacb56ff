"""Stand-alone programs that a launcher starts workers with; each imports nothing but the standard library."""
