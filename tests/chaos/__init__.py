"""The chaos proof: a whole stack under load while a nemesis breaks its parts.

The client's log, the providers' ledgers and the database must agree in the end.
"""
