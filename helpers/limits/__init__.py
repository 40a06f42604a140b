"""Living with limits: what an answer says of them, requests held to them, retries, and a clock on which waiting takes no time.

The loop of retries is tenacity's. The throttle is our own: aiolimiter and pyrate-limiter hold code to rates that one sets, but neither books a
request in several limits at once (requests, tokens), nor corrects itself by what an answer said is left (their pages, 2026-11).
"""

from helpers.limits.clocks import Clock, VirtualClock, simulate
from helpers.limits.queue import Queue, Turns
from helpers.limits.quotas import Limit, Quota, quota
from helpers.limits.retries import RetryBudget, full_jitter, retrying, retrying_async, worth_retrying
from helpers.limits.throttle import Bucket, Throttle, Window

__all__ = [
    *("Bucket", "Clock", "Limit", "Queue", "Quota", "RetryBudget", "Throttle", "Turns", "VirtualClock", "Window"),
    *("full_jitter", "quota", "retrying", "retrying_async", "simulate", "worth_retrying"),
]
