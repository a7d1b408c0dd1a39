"""Retrieve candidate pairs by votes of local features."""
