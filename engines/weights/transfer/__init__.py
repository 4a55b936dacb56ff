"""Bytes over HTTP: one server answered truthfully or not, one file resumed and verified, many files at once."""
