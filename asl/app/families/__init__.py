"""Families of copies: trees in which every picture stands under the one it was made from."""
