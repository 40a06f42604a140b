"""A server that a team shares: LiteLLM's proxy, with keys and budgets of its own (see `make proxy`)."""

from helpers.team_server.server import ASKED, CONFIG, KEYS, Proxy, chosen, session

__all__ = ["ASKED", "CONFIG", "KEYS", "Proxy", "chosen", "session"]
