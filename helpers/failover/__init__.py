"""Several providers, one after the other: a breaker for real calls, and a simulation of outages on a clock on which waiting takes no time."""

from helpers.failover.breaker import Breaker
from helpers.failover.incidents import incidents, together
from helpers.failover.report import Report, report, waits
from helpers.failover.sellers import seller
from helpers.failover.simulation import Outcome, Policy, Provider, play
from helpers.failover.traffic import DAY, arrivals, load

__all__ = ["DAY", "Breaker", "Outcome", "Policy", "Provider", "Report", "arrivals", "incidents", "load", "play", "report", "seller", "together", "waits"]
