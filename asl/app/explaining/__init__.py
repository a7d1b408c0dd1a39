"""Explain one pair of files, for people who have to decide about it."""
