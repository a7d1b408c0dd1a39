"""Exact directional search on top of any engine."""
