"""Unit tests: no servers; they mirror the folders they test."""
