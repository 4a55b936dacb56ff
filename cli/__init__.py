"""The `enginehouse` command: one file a verb. It composes the other packages and shows what they report."""
