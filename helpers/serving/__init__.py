"""A real vLLM on this machine: start and stop it (`server`), load it (`load`), and keep what was measured (`sweep`)."""
