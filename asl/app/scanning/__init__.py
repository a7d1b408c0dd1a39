"""Scan folders for copies: candidates, groups, tables, gallery."""
