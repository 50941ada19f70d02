"""The API compared with its documentation."""
