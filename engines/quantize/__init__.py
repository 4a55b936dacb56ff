"""Quantization: which layout an engine takes, the programs that write and measure it, and how they are run."""
