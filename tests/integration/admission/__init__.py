"""The breakers of several processes, on real servers and the simulators."""
