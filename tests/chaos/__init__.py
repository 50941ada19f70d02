"""The chaos proof: breaks parts of a whole stack under load.

At the end the client's log, the providers' ledgers and the database must agree.
"""
