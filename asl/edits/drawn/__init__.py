"""Drawn material: words, stickers, pasted pictures."""
