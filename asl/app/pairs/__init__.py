"""Pairs of images: verdict of the verifier, direction, edits in words."""
