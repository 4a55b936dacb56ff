"""Stand-alone programs that run in an engine's environment, or in one that has its parser alone.

`python -m tools.read_<engine> FILE`, FILE a JSON list of command lines, each a list of words: a line of JSON to
stdout for each, `{"error": sentence or null, "values": {…}}`, and anything to stderr.
"""
