"""A verdict on a client, from what the gateway saw of it: rule by rule, with the requests that show it.

All that came in counts as one client's, as all that use one key share its limits. What a server cannot see is "unknown", never "good".
Times are by the course's clock, so that a client which waits by it is judged by it.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from statistics import mean
from typing import Any

from helpers import costs, page
from helpers.gateway.meter import Entry

GOOD, BAD, UNKNOWN = "good", "bad", "unknown"
HOPELESS = {
    *("out_of_credit", "too_large", "bad_key", "no_key", "bad_token", "bad_signature", "forbidden", "filtered", "no_route", "no_version"),
    *("unknown_model", "retired_model", "profile_needed", "missing", "wrong_type", "bad_value", "unsupported", "unknown_field", "bad_json", "too_long", "above_window", "over_budget"),
}
DAY_USED_UP, HOUR = "day_used_up", 3600.0  # it does pass: who comes back within the hour has not looked
SLACK = 0.05  # seconds that clocks and the network may differ by
MOST_TRIES = 5  # of one request; the SDKs make three
STORM = 10  # repeats in a minute, from which on they may not outnumber the first tries
CROWD, ALIKE = 4, 0.05  # waits that are compared, and how alike they may be: a share of the mean
DEFAULT_PATIENCE = 600.0  # seconds: what openai and anthropic wait where nobody says otherwise

Found = tuple[str, str, Sequence[Entry]]  # of a rule: a verdict, a sentence, and the requests that show it


@dataclass(frozen=True)
class Finding:
    """One rule: good, bad or unknown, why, and the numbers of the requests in the log that show it."""

    name: str
    verdict: str
    says: str
    requests: tuple[int, ...] = ()
    rule: str = ""


class Verdict(list[Finding]):
    """What a client did well and badly, as a table in a notebook or a terminal, and as data."""

    COLUMNS = ("rule", "verdict", "what was seen")

    @property
    def bad(self) -> list[str]:
        """The names of the rules that were broken."""
        return [finding.name for finding in self if finding.verdict == BAD]

    def __getitem__(self, place: Any) -> Any:
        """A finding, by its place or by its rule's name. Raises KeyError for a rule that there is not, with those that there are."""
        if not isinstance(place, str):
            return super().__getitem__(place)
        found = next((finding for finding in self if finding.name == place), None)
        if found is None:
            raise KeyError(f"there is no rule {place!r}; there are {', '.join(finding.name for finding in self)}")
        return found

    def _rows(self) -> list[tuple[str, str, str]]:
        return [(finding.name, finding.verdict, finding.says) for finding in self]

    def __str__(self) -> str:
        return "\n".join(f"{name:<22}  {verdict:<7}  {says}" for name, verdict, says in [self.COLUMNS, *self._rows()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return page.table(self.COLUMNS, self._rows())


@dataclass(frozen=True)
class Repeat:
    """A request that failed, and the one that asked the same again. `attempt` is 1 for the first repeat."""

    failed: Entry
    again: Entry
    attempt: int

    @property
    def gap(self) -> float:
        """Seconds between them."""
        return self.again.at - self.failed.evidence.ended


def judge(entries: Sequence[Entry], budget_usd: Decimal | None = None) -> Verdict:
    """The verdict on what is in these entries of a log. budget_usd: what all of it may cost live; without it nobody knows."""
    asked = [entry for entry in entries if not entry.batch]
    repeats = list(_repeats(asked))
    verdict = Verdict(_finding(name, rule, rule(asked, repeats)) for name, rule in RULES.items())
    verdict.append(_finding("budget", _budget, _budget(entries, budget_usd)))
    return verdict


def _finding(name: str, rule: Callable[..., Found], found: Found) -> Finding:
    """What a rule found, with the rule in words: its docstring."""
    verdict, says, shown = found
    return Finding(name, verdict, says, tuple(entry.number for entry in shown), rule.__doc__ or "")


def _repeats(asked: Sequence[Entry]) -> Iterator[Repeat]:
    """Each failed request with the next one that asks the same and came after it had failed."""
    same: dict[tuple[str, int], list[Entry]] = defaultdict(list)
    for entry in asked:
        same[entry.provider, entry.evidence.asked].append(entry)
    for group in same.values():
        waiting: list[tuple[float, int, Entry, int]] = []  # those that failed, the one that ended first on top, and how often it was tried
        for entry in group:
            tries = 0
            if waiting and waiting[0][0] <= entry.at + SLACK:
                _, _, failed, tries = heapq.heappop(waiting)
                yield Repeat(failed, entry, tries)
            if _failed(entry):
                heapq.heappush(waiting, (entry.evidence.ended, entry.number, entry, tries + 1))


def _failed(entry: Entry) -> bool:
    return bool(entry.evidence.refusal) or entry.evidence.was_left or entry.evidence.was_broken


# ---- the rules -----------------------------------------------------------------------------------------------


def _retry_after(_: Sequence[Entry], repeats: Sequence[Repeat]) -> Found:
    """Where a refusal says how long to wait, the same request does not come again sooner."""
    told = [repeat for repeat in repeats if repeat.failed.evidence.wait is not None]
    early = [repeat for repeat in told if repeat.gap < repeat.failed.evidence.wait - SLACK]
    if early:
        first = early[0]
        return BAD, f"{_of(early, told)} came sooner than they were told: {first.gap:.1f} s after {first.failed.number}, which said {first.failed.evidence.wait:g} s", _all(early)
    if told:
        return GOOD, f"all {len(told)} repeats waited as long as they were told", _all(told)
    return UNKNOWN, "nothing that was told to wait came again", ()


def _hopeless(asked: Sequence[Entry], repeats: Sequence[Repeat]) -> Found:
    """What no wait can help (a wrong key, no credit, a request at fault or larger than the limit) is not sent again as it is; nor within the hour what a day's limit refused."""
    wrong = [repeat for repeat in repeats if repeat.failed.evidence.refusal in HOPELESS or _is_of_the_same_hour(repeat)]
    if wrong:
        kinds = ", ".join(sorted({repeat.failed.evidence.refusal for repeat in wrong}))
        return BAD, f"{_many(wrong)} came again after a refusal that no wait can help ({kinds})", _all(wrong)
    refused = [entry for entry in asked if entry.evidence.refusal in {*HOPELESS, DAY_USED_UP}]
    if refused:
        return GOOD, f"{_many(refused)} refused for good, and none came again", refused
    return UNKNOWN, "nothing was refused for good", ()


def _is_of_the_same_hour(repeat: Repeat) -> bool:
    return repeat.failed.evidence.refusal == DAY_USED_UP and repeat.gap < HOUR


def _storm(asked: Sequence[Entry], repeats: Sequence[Repeat]) -> Found:
    """One request is sent 5 times at most, and in no minute with 10 repeats or more are there more repeats than first tries."""
    often = [repeat for repeat in repeats if repeat.attempt >= MOST_TRIES]
    if often:
        return BAD, f"a request was sent {max(repeat.attempt for repeat in often) + 1} times", _all(often)
    again = {repeat.again.number for repeat in repeats}
    minutes: dict[int, list[Entry]] = defaultdict(list)
    for entry in asked:
        minutes[int((entry.at - asked[0].at) // 60)].append(entry)  # from the first request on, so that the time of day decides nothing
    for entries in minutes.values():
        repeated = [entry for entry in entries if entry.number in again]
        if len(repeated) >= STORM and 2 * len(repeated) > len(entries):
            return BAD, f"in one minute {len(repeated)} of {len(entries)} requests were repeats", repeated
    if repeats:
        return GOOD, f"{_many(repeats, 'repeat')} among {_many(asked)}", _all(repeats)
    return UNKNOWN, "nothing was sent again", ()


def _jitter(_: Sequence[Entry], repeats: Sequence[Repeat]) -> Found:
    """Repeats of the same attempt wait for different times: of 4 or more, the shortest and the longest differ by 5 % of their mean."""
    by_attempt: dict[int, list[Repeat]] = defaultdict(list)
    for repeat in repeats:
        if repeat.failed.evidence.refusal:
            by_attempt[repeat.attempt].append(repeat)
    crowds = [crowd for crowd in by_attempt.values() if len(crowd) >= CROWD]
    for crowd in crowds:
        gaps = [repeat.gap for repeat in crowd]
        if max(gaps) - min(gaps) <= ALIKE * mean(gaps):  # all at once, too
            return BAD, f"{len(crowd)} repeats all waited about {mean(gaps):.2f} s", _all(crowd)
    if crowds:
        waited = [repeat for crowd in crowds for repeat in crowd]
        gaps = [repeat.gap for repeat in waited]
        return GOOD, f"{len(waited)} repeats waited from {min(gaps):.2f} to {max(gaps):.2f} s", _all(waited)
    return UNKNOWN, f"fewer than {CROWD} repeats that could be compared", ()


def _paid_twice(asked: Sequence[Entry], repeats: Sequence[Repeat]) -> Found:
    """What was worked on, and would be billed, is not asked again because the client did not wait for it or the connection broke."""
    paid = [repeat for repeat in repeats if repeat.failed.usage and repeat.failed.usage.output_tokens and not repeat.failed.evidence.refusal]
    if paid:
        tokens = sum(repeat.failed.usage.output_tokens for repeat in paid if repeat.failed.usage)
        return BAD, f"{_many(paid)} came again whose answer was begun or made: {tokens} output tokens", _all(paid)
    lost = [entry for entry in asked if (entry.evidence.was_left or entry.evidence.was_broken) and entry.usage]
    if lost:
        return GOOD, f"{_many(lost, 'answer')} did not arrive whole, and none was asked for again as it was", lost
    return UNKNOWN, "every answer that was begun arrived", ()


def _whole(asked: Sequence[Entry], _: Sequence[Repeat]) -> Found:
    """An answer that broke off does not stand in a later conversation as if it were whole."""
    wrong = [entry for entry in asked if entry.evidence.goes_on is not None]
    if wrong:
        return BAD, f"request {wrong[0].number} takes the beginning of answer {wrong[0].evidence.goes_on} for all of it", wrong
    return UNKNOWN, "what became of an answer is not seen here, unless a conversation goes on with it", ()


def _time_out(asked: Sequence[Entry], _: Sequence[Repeat]) -> Found:
    """A time-out of one's own is set: shorter than the ten minutes that openai and anthropic wait by default, as they tell in a header."""
    told = [entry for entry in asked if entry.evidence.patience is not None]
    if patient := [entry for entry in told if (entry.evidence.patience or 0) >= DEFAULT_PATIENCE]:
        return BAD, f"{_of(patient, told)} would wait {max(entry.evidence.patience or 0 for entry in patient):g} s in silence", patient
    if told:
        return GOOD, f"all {len(told)} that say so would wait {max(entry.evidence.patience or 0 for entry in told):g} s at most", told
    return UNKNOWN, "this SDK does not say how long it waits", ()


def _limit_headers(asked: Sequence[Entry], _: Sequence[Repeat]) -> Found:
    """After an answer which said that no request is left, none is sent that is refused for its rate."""
    limited: dict[tuple[str, str], list[Entry]] = defaultdict(list)  # limits are kept for each model
    for entry in asked:
        limited[entry.provider, entry.model].append(entry)
    pairs = [pair for entries in limited.values() for pair in pairwise(entries)]
    warned = [after for before, after in pairs if before.evidence.left == 0 and after.at >= before.evidence.ended - SLACK]
    ignored = [entry for entry in warned if entry.evidence.refusal in ("rate_limited", DAY_USED_UP) and not entry.fault]
    if ignored:
        return BAD, f"{_many(ignored)} came right after an answer which said that none is left, and had to be refused", ignored
    if warned:
        return GOOD, f"{_many(warned)} came after an answer which said that none is left, and late enough", warned
    return UNKNOWN, "nothing came after an answer which said that none is left", ()


def _budget(entries: Sequence[Entry], budget_usd: Decimal | None) -> Found:
    """All requests together cost no more than the budget."""
    if budget_usd is None:
        return UNKNOWN, "no budget was given: verdict(budget_usd=...)", ()
    spent, over = Decimal(0), []
    for entry in entries:
        try:
            spent += costs.cost(entry.usage, entry.model, entry.provider, batch=entry.batch, tier=entry.tier) if entry.usage else Decimal(0)
        except costs.UnknownPrice as error:
            return UNKNOWN, str(error), ()
        if spent > budget_usd:
            over.append(entry)
    if over:
        return BAD, f"{costs.dollars(spent)} live, with {_many(over)} beyond the budget of {costs.dollars(budget_usd)}", over
    return GOOD, f"{costs.dollars(spent)} live, of {costs.dollars(budget_usd)}", ()


RULES: dict[str, Callable[[Sequence[Entry], Sequence[Repeat]], Found]] = {
    "retry-after": _retry_after,
    "hopeless retries": _hopeless,
    "retry storm": _storm,
    "jitter": _jitter,
    "paid twice": _paid_twice,
    "broken answers": _whole,
    "time-out": _time_out,
    "limit headers": _limit_headers,
}


def _all(repeats: Sequence[Repeat]) -> list[Entry]:
    return [repeat.again for repeat in repeats]


def _many(some: Sequence[Any], what: str = "request") -> str:
    return f"{len(some)} {what}{'' if len(some) == 1 else 's'}"


def _of(some: Sequence[Any], everything: Sequence[Any]) -> str:
    return f"{len(some)} of {len(everything)}"
