"""The provider adapters against the simulators, over real HTTP."""
