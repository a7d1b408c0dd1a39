"""For people: a detector in five lines, a scan of a folder of photographs, a small service.

Importing this package loads neither torch nor a web framework; its modules load what they need.
"""
