"""Where answers come from: recordings in the repository, and the real providers (upstream)."""
