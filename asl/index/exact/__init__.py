"""Exact directional search on top of any engine, with a certificate for every list."""
