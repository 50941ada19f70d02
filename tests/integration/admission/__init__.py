"""The gates of several processes, on real servers and the simulators."""
