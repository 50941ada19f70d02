"""The adapters and webhook verifiers of each account."""
