"""The real use cases on ports in memory, under a scheduler that is out to break them.

`make simulate` runs it for as long as asked; see ``__main__``.
"""
