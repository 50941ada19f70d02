"""The API as it is documented, held against what is served."""
