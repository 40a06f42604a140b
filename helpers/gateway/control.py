"""The gateway's own controls over HTTP, under /course/, for programs that are not the notebook that started it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any, Protocol

from helpers.gateway.clock import Clock
from helpers.gateway.faults import Fault, Faults
from helpers.gateway.keys import Keys
from helpers.gateway.meter import Meter
from helpers.gateway.quotas import PER_DAY, Quotas
from helpers.gateway.sources.scripts import Script, Scripts
from helpers.gateway.wire import parse_json

LARGEST_BODY = 100_000  # bytes


class Gateway(Protocol):
    """What the controls need of the gateway that they are handed."""

    mode: str
    strict: bool
    pace: float
    clock: Clock
    faults: Faults
    keys: Keys
    meter: Meter
    quotas: Quotas
    scripts: Scripts

    def forget(self) -> None: ...


def handle(gateway: Gateway, method: str, path: str, body: bytes) -> tuple[int, bytes]:
    """Status and JSON body for one control request. Bad input gives 400 with a sentence that says what to do."""
    if len(body) > LARGEST_BODY:
        return 413, _json({"error": f"the body of a control has at most {LARGEST_BODY:,} bytes"})
    if (method, path) not in ACTIONS:
        return 404, _json({"error": f"no such control; there are {', '.join(' '.join(key) for key in ACTIONS)}"})
    try:
        arguments = parse_json(body) if body else {}
        if not isinstance(arguments, dict):
            raise ValueError("the body has to be a JSON object")
        action, *known = ACTIONS[method, path]
        _check_names(arguments, *known)
        return 200, _json(action(gateway, **arguments))
    except ValueError as error:
        return 400, _json({"error": str(error)})


def _check_names(given: dict[str, Any], required: str, optional: str) -> None:
    """Raise ValueError for an argument that is missing or that there is not."""
    needed, known = required.split(), f"{required} {optional}".split()
    takes = f"it takes {', '.join(known)}" if known else "it takes no arguments"
    for name in given:
        if name not in known:
            raise ValueError(f"there is no {name}; {takes}")
    for name in needed:
        if name not in given:
            raise ValueError(f"{name} is missing; {takes}")


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=2, default=str).encode() + b"\n"


def _status(gateway: Gateway) -> dict[str, Any]:
    sources = gateway.meter.log().sources()
    return {"mode": gateway.mode, "strict": gateway.strict, "pace": gateway.pace, "requests": gateway.meter.count, "sources": sources}


def _log(gateway: Gateway) -> list[dict[str, Any]]:
    return [asdict(entry) for entry in gateway.meter.log()]


def _verdict(gateway: Gateway) -> list[dict[str, Any]]:
    from helpers.gateway.verdict import judge

    return [asdict(finding) for finding in judge(gateway.meter.log())]


def _add_fault(gateway: Gateway, **fault: Any) -> dict[str, Any]:
    gateway.faults.add(Fault(**fault))
    return {"set": fault}


def _clear_faults(gateway: Gateway) -> dict[str, Any]:
    gateway.faults.clear()
    return {"set": None}


def _script(gateway: Gateway, **script: Any) -> dict[str, Any]:
    gateway.scripts.add(Script(**script))
    return {"set": script}


def _advance(gateway: Gateway, **step: float) -> dict[str, Any]:
    if not step:
        raise ValueError("seconds is missing; it takes seconds, minutes and hours, at least one of them")
    gateway.clock.advance(**step)
    return {"now": gateway.clock.now()}


def _stop_clock(gateway: Gateway) -> dict[str, Any]:
    gateway.clock.stop()
    return {"now": gateway.clock.now()}


def _start_clock(gateway: Gateway) -> dict[str, Any]:
    gateway.clock.go_on()
    return {"now": gateway.clock.now()}


def _revoke(gateway: Gateway, key: str) -> dict[str, Any]:
    gateway.keys.revoke(key)
    return {"revoked": True}  # without the key, which is not to stand in anybody's log


def _limit(gateway: Gateway, provider: str, family: str, per_minute: int | None = None, per_day: int | None = None) -> dict[str, Any]:
    if not isinstance(family, str):
        raise ValueError("family is the name of a limit, such as requests or tokens")
    if per_minute is None and per_day is None:
        raise ValueError("per_minute is missing; it takes provider, family and either per_minute or per_day")
    if per_minute is not None and per_day is not None:
        raise ValueError("give either per_minute or per_day, and the other in an order of its own")
    gateway.quotas.set_limits(provider, {family: per_minute} if per_day is None else {family + PER_DAY: per_day})
    return {"provider": provider, "family": family} | ({"per_minute": per_minute} if per_day is None else {"per_day": per_day})


def _reset(gateway: Gateway) -> dict[str, Any]:
    gateway.forget()
    return {"reset": True}


# What is done, and the names of the arguments that it needs and that it may have.
ACTIONS = {
    ("GET", "/course/status"): (_status, "", ""),
    ("GET", "/course/log"): (_log, "", ""),
    ("GET", "/course/verdict"): (_verdict, "", ""),
    ("POST", "/course/faults"): (_add_fault, "kind", "provider times seconds chunk"),
    ("DELETE", "/course/faults"): (_clear_faults, "", ""),
    ("POST", "/course/answers"): (_script, "", "text to call provider times"),
    ("POST", "/course/advance"): (_advance, "", "seconds minutes hours"),
    ("POST", "/course/stop_clock"): (_stop_clock, "", ""),
    ("POST", "/course/start_clock"): (_start_clock, "", ""),
    ("POST", "/course/limits"): (_limit, "provider family", "per_minute per_day"),
    ("POST", "/course/revoke"): (_revoke, "key", ""),
    ("POST", "/course/reset"): (_reset, "", ""),
}
