"""A supervised deployment on one machine: servers, simulators and programs."""
