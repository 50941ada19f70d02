"""A whole deployment on one machine: servers, simulators, programs, supervised."""
