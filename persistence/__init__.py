"""MongoDB as the truth: documents, indexes, encryption."""
