"""The real use cases on ports in memory, under a crashing scheduler.

`make simulate` runs it for as long as asked; see ``__main__``.
"""
