"""The engines' own argument parsers, asked about command lines without starting anything."""
