"""Drawn material of edits: glyphs, stickers, pasted pictures."""
