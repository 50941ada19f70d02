"""The checks of the chaos proof, each seen to fail."""
