"""Keys of every verb as dataclasses that import in a moment: no torch, no NumPy.

The docstring of a module is the help text of its verb; each base class of a schema is one group of
keys, whose title is the first line of its docstring.
"""
