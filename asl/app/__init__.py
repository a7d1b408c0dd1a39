"""Applications: copy detector for Python, scan of photo folders, HTTP service.

Importing this package loads neither torch nor a web framework; its modules load what they need.
"""
