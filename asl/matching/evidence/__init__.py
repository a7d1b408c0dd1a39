"""Measure an aligned pair: agreement of the pixels, coverage, direction."""
