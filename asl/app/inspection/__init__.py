"""Recognise files and folders that this package writes, and check that they are whole."""
