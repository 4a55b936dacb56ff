"""Weights: where they come from, whether they are the right ones, and the checkpoint that workers load."""
