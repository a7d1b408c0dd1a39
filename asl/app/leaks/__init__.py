"""Leaks between the splits of a data set."""
