"""A verdict on a client, from what the gateway saw of it: rule by rule, with the requests that show it.

All that came in counts as one client's, as all that use one key share its limits. What a server cannot see is "unknown", never "good".
Times are by the course's clock, so that a client which waits by it is judged by it.

Who asks the same as a request that failed is taken to repeat it where the SDK says so, and where only one connection at a time is in use, as
it is with one that waits for each answer, on the same connection or with a new one each time: what takes turns like that counts as one client.
Where several connections are in use, or one carries many requests at once (HTTP/2), several may ask the same, each for itself: then it is not
sure whose repeat it is, and how long that one waited is not judged. So it is on one connection too, where it looks as if two or three waited, each
as told. Who comes later than a minute after it might asks anew, and is no storm: so do circuit breakers look whether a provider is back.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate, groupby, pairwise
from math import isfinite
from statistics import mean
from typing import Any

from helpers import costs, page
from helpers.gateway.meter import Entry
from helpers.gateway.request import Line

GOOD, BAD, UNKNOWN = "good", "bad", "unknown"
HOPELESS = {
    *("out_of_credit", "too_large", "bad_key", "no_key", "bad_token", "bad_signature", "forbidden", "filtered", "no_route", "no_version"),
    *("unknown_model", "retired_model", "profile_needed", "missing", "wrong_type", "bad_value", "unsupported", "unknown_field", "bad_json", "too_long", "above_window", "over_budget"),
}
DAY_USED_UP, HOUR = "day_used_up", 3600.0  # it does pass: who comes back within the hour has not looked
SLACK = 0.05  # seconds that clocks and the network may differ by
MOST_TRIES = 5  # of one request; the SDKs make three
STORM = 10  # repeats in a minute, from which on they may not outnumber the first tries
CROWD, ALIKE = 4, 0.05  # waits that are compared, and how alike they may be: a share of the mean, and 0.1 s at most
SOME = 3  # tasks that may share a connection, since refusals come so fast that it is free again for the next
SOON = 2.0  # seconds after it might in which one comes that waits for nothing else, or as long again as it was told to wait
BESIDE = 0.02  # seconds after an answer in which a connection may be opened that was asked for before it
LATE = 60.0  # seconds after it might come again; what comes later still is asked anew
DEFAULT_PATIENCE = 600.0  # seconds: what openai and anthropic wait where nobody says otherwise

Found = tuple[str, str, Sequence[Entry]]  # of a rule: a verdict, a sentence, and the requests that show it


@dataclass(frozen=True)
class Finding:
    """One rule: good, bad or unknown, why, the numbers of the requests in the log that show it, and the chapter and section to read."""

    name: str
    verdict: str
    says: str
    requests: tuple[int, ...]
    rule: str
    read: str


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
        return [(finding.name, finding.verdict, f"{finding.says}; read {finding.read}" if finding.verdict == BAD else finding.says) for finding in self]

    def __str__(self) -> str:
        return "\n".join(f"{name:<22}  {verdict:<7}  {says}" for name, verdict, says in [self.COLUMNS, *self._rows()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return page.table(self.COLUMNS, self._rows())


@dataclass(frozen=True)
class Repeat:
    """A request that failed, and one that asked the same again. `attempt` is 1 for the first repeat, 0 for what is asked anew.

    It is not sure where several may have asked the same, each for itself.
    """

    failed: Entry
    again: Entry
    attempt: int
    is_sure: bool = True

    @property
    def gap(self) -> float:
        """Seconds between them."""
        return self.again.at - self.failed.evidence.ended

    @property
    def has_waited(self) -> bool:
        """Whether it was told how long to wait, and did."""
        told = self.failed.evidence.wait
        return told is not None and self.gap >= told - SLACK

    @property
    def is_obedient(self) -> bool:
        """Whether it waited as long as it was told, and not a moment longer."""
        return self.has_waited and self.gap <= (self.failed.evidence.wait or 0.0) + 2 * SLACK


def judge(entries: Sequence[Entry], budget_usd: Decimal | None = None) -> Verdict:
    """The verdict on what is in these entries of a log. budget_usd: what all of it may cost live; without it nobody knows.

    Raises ValueError for a budget that is none.
    """
    if budget_usd is not None and not (budget_usd.is_finite() and budget_usd >= 0):
        raise ValueError(f"budget_usd is {budget_usd}: give an amount of 0 or more")
    asked = [entry for entry in entries if not entry.batch]
    repeats = list(_repeats(asked))
    verdict = Verdict(_finding(name, rule, rule(asked, repeats)) for name, rule in RULES.items())
    verdict.append(_finding("budget", _budget, _budget(entries, budget_usd)))
    return verdict


def _finding(name: str, rule: Callable[..., Found], found: Found) -> Finding:
    """What a rule found, with the rule in words: its docstring."""
    verdict, says, shown = found
    return Finding(name, verdict, says, tuple(entry.number for entry in shown), rule.__doc__ or "", READ[name])


def _repeats(asked: Sequence[Entry]) -> Iterator[Repeat]:
    """Each failed request with one that asks the same and came after it had failed."""
    same: dict[tuple[str, int], list[Entry]] = defaultdict(list)
    for entry in asked:
        same[entry.provider, entry.evidence.asked].append(entry)
    for group in same.values():
        if any(map(_failed, group)):
            yield from _repeats_in(group)


def _repeats_in(group: Sequence[Entry]) -> Iterator[Repeat]:
    """The repeats among requests that all ask the same."""
    told, is_in_turn, may_be_some = _told_by_the_sdk(group), _is_in_turn(group), _may_be_some(group)
    taken, tries = {failed.number for failed in told.values()}, {}
    waiting: list[tuple[float, int, Entry]] = []  # those that failed, and that no SDK repeats; the one that ended first on top
    failing = set()  # connections on which this failed
    for entry in group:
        failed, found = told.get(entry.number), entry.evidence
        if failed is None and not found.retry and waiting and waiting[0][0] <= entry.at + SLACK:
            failed = heapq.heappop(waiting)[2]
        tries[entry.number] = 1
        if failed:
            surely = entry.number in told or (is_in_turn and not (may_be_some and failed.evidence.wait is not None))
            is_late = entry.at - failed.evidence.ended > (failed.evidence.wait or 0.0) + LATE
            attempt = 0 if is_late or not (surely or found.line in failing) else tries[failed.number]
            tries[entry.number] = attempt + 1
            yield Repeat(failed, entry, attempt, surely)
        if _failed(entry):
            failing.add(found.line)
            if entry.number not in taken:
                heapq.heappush(waiting, (found.ended, entry.number, entry))


def _told_by_the_sdk(group: Sequence[Entry]) -> dict[int, Entry]:
    """What failed, by the number of the request with which the SDK repeats it, as it says itself: of several, the one that might first."""
    found, waiting = {}, defaultdict(list)
    for entry in group:
        due = waiting[entry.evidence.retry - 1]
        if due and due[0][2].evidence.ended <= entry.at + SLACK:
            found[entry.number] = heapq.heappop(due)[2]
        if _failed(entry):
            heapq.heappush(waiting[entry.evidence.retry], (entry.evidence.ended + (entry.evidence.wait or 0.0), entry.number, entry))
    return found


def _is_in_turn(group: Sequence[Entry]) -> bool:
    """Whether these came on one connection after the other, as those of a single one do who waits for each answer."""
    lines = [line for line, _ in groupby(entry.evidence.line for entry in group)]
    beside = BESIDE if len(lines) < len(group) else 0.0
    return None not in lines and len(set(lines)) == len(lines) and all(_is_after(before, entry, beside) for before, entry in pairwise(group))


def _is_after(before: Entry, entry: Entry, beside: float) -> bool:
    """Whether a request came on the connection of the one before it, or on one that was opened when that was over.

    Of who uses connections again, one that is opened right then, while the other stays open, was asked for before: an idle one would have
    carried the request.
    """
    line, last, over = entry.evidence.line, before.evidence.line, before.evidence.over
    if line is last or line is None or last is None:
        return line is last
    return (last.closed is not None and last.closed <= line.opened) or 0 < over <= line.opened - beside


def _may_be_some(group: Sequence[Entry]) -> bool:
    """Whether one or two in a row came sooner than the one before was told to wait, and yet each that was told so has one that came in time.

    So it looks where two or three ask the same on one connection, each as it should.
    """
    early = (before.evidence.wait is not None and not Repeat(before, entry, 1).has_waited for before, entry in pairwise(group))
    longest = max((len(list(row)) for is_early, row in groupby(early) if is_early), default=0)
    if not 0 < longest < SOME:
        return False
    told = sorted((entry.evidence.ended + entry.evidence.wait, entry.evidence.wait) for entry in group if entry.evidence.wait is not None)
    later = iter(group)  # each can be the repeat of one only
    return all(any(due - SLACK <= entry.at <= due + max(wait, SOON) for entry in later) for due, wait in told)


def _failed(entry: Entry) -> bool:
    """Refused, broken, or left by a client that had waited. Who leaves a stream while it runs may have heard enough."""
    found = entry.evidence
    return bool(found.refusal) or found.was_broken or (found.was_left and not found.was_running)


# ---- the rules -----------------------------------------------------------------------------------------------


def _retry_after(_: Sequence[Entry], repeats: Sequence[Repeat]) -> Found:
    """Where a refusal says how long to wait, the same request does not come again sooner."""
    all_told = [repeat for repeat in repeats if repeat.failed.evidence.wait is not None]
    told = [repeat for repeat in all_told if repeat.is_sure]
    early = [repeat for repeat in told if not repeat.has_waited]
    if early:
        first = early[0]
        return BAD, f"{_of(early, told)} came sooner than they were told: {first.gap:.1f} s after {first.failed.number}, which said {first.failed.evidence.wait:g} s", _all(early)
    if told:
        return GOOD, f"all {len(told)} repeats waited as long as they were told", _all(told)
    if all_told:
        return UNKNOWN, f"{_many(all_told)} may be repeats of what was told to wait, or somebody else's: that is not seen", ()
    return UNKNOWN, "nothing that was told to wait came again, as far as is seen", ()


def _hopeless(asked: Sequence[Entry], repeats: Sequence[Repeat]) -> Found:
    """What no wait can help (a wrong key, no credit, a request at fault or larger than the limit) is not sent again as it is, to be refused again within the hour; nor what a day's limit refused."""
    soon = [repeat for repeat in repeats if repeat.failed.evidence.refusal in {*HOPELESS, DAY_USED_UP} and repeat.gap < HOUR]
    wrong = [repeat for repeat in soon if repeat.is_sure and (repeat.again.evidence.refusal == repeat.failed.evidence.refusal or repeat.again.evidence.retry)]
    if wrong:
        kinds = ", ".join(sorted({repeat.failed.evidence.refusal for repeat in wrong}))
        return BAD, f"{_many(wrong)} came again after a refusal that no wait can help ({kinds})", _all(wrong)
    refused = [entry for entry in asked if entry.evidence.refusal in {*HOPELESS, DAY_USED_UP}]
    if soon:
        return UNKNOWN, f"{_many(soon)} came again after a refusal for good, when something had changed or from somebody else: that is not seen", ()
    if refused:
        return GOOD, f"{_many(refused)} refused for good, and none came again", refused
    return UNKNOWN, "nothing was refused for good", ()


def _storm(asked: Sequence[Entry], repeats: Sequence[Repeat]) -> Found:
    """One request is sent 5 times at most, and in no minute with 10 repeats or more are there more repeats than first tries. Who comes a minute after it might, or later, asks anew."""
    often = [repeat for repeat in repeats if repeat.is_sure and repeat.attempt >= MOST_TRIES]
    if often:
        return BAD, f"a request was sent {max(repeat.attempt for repeat in often) + 1} times", _all(often)
    again = {repeat.again.number for repeat in repeats if repeat.attempt}
    minutes: dict[int, list[Entry]] = defaultdict(list)
    for entry in asked:
        minutes[int((entry.at - asked[0].at) // 60)].append(entry)  # from the first request on, so that the time of day decides nothing
    for entries in minutes.values():
        repeated = [entry for entry in entries if entry.number in again]
        if len(repeated) >= STORM and 2 * len(repeated) > len(entries):
            return BAD, f"in one minute {len(repeated)} of {len(entries)} requests were repeats", repeated
    if repeats:
        return GOOD, f"{_many(repeats, 'repeat')} among {_many(asked)}", _all(repeats)
    return UNKNOWN, "nothing that failed was sent again", ()


def _jitter(_: Sequence[Entry], repeats: Sequence[Repeat]) -> Found:
    """Repeats of the same attempt wait for different times: of 4 or more, the shortest and the longest differ by 5 % of their mean, or by 0.1 s; less than 0.05 s is no wait. That all were told the same is no excuse where 4 wait at a time."""
    by_attempt: dict[int, list[Repeat]] = defaultdict(list)
    for repeat in repeats:
        if repeat.failed.evidence.refusal and repeat.attempt and repeat.is_sure:
            by_attempt[repeat.attempt].append(repeat)
    crowds = [crowd for crowd in by_attempt.values() if len(crowd) >= CROWD]
    for crowd in crowds:
        gaps = [repeat.gap for repeat in crowd]
        at_once = max(gaps) < SLACK and not all(repeat.has_waited for repeat in crowd)
        is_alike = max(gaps) - min(gaps) <= min(ALIKE * mean(gaps), 2 * SLACK)
        if (at_once or is_alike) and not _is_by_order(crowd):
            return BAD, f"{len(crowd)} repeats all waited about {mean(gaps):.2f} s", _all(crowd)
    waited = [repeat for crowd in crowds if not _is_by_order(crowd) for repeat in crowd]
    if waited:
        gaps = [repeat.gap for repeat in waited]
        return GOOD, f"{len(waited)} repeats waited from {min(gaps):.2f} to {max(gaps):.2f} s", _all(waited)
    return UNKNOWN, f"fewer than {CROWD} repeats that could be compared", ()


def _is_by_order(crowd: Sequence[Repeat]) -> bool:
    """Whether each waited just as it was told, and never as many as a crowd at a time, so that it met nobody."""
    if not all(repeat.is_obedient for repeat in crowd):
        return False
    ends = [(repeat.again.at, -1) for repeat in crowd]
    steps = sorted([*ends, *[(repeat.failed.evidence.ended, 1) for repeat in crowd]])
    return max(accumulate(step for _, step in steps)) < CROWD


def _paid_twice(asked: Sequence[Entry], repeats: Sequence[Repeat]) -> Found:
    """What was worked on, and would be billed, is not asked again because the client did not wait for it."""
    lost = [entry for entry in asked if (entry.evidence.was_left or entry.evidence.was_broken) and entry.usage]
    again = [repeat for repeat in repeats if repeat.failed.usage and repeat.failed.usage.output_tokens and not repeat.failed.evidence.refusal]
    paid = [repeat for repeat in again if repeat.is_sure and not repeat.failed.evidence.was_broken]
    if paid:
        tokens = sum(repeat.failed.usage.output_tokens for repeat in paid if repeat.failed.usage)
        return BAD, f"{_many(paid)} came again whose answer was begun or made: {tokens} output tokens", _all(paid)
    asked_again = {repeat.failed.number for repeat in repeats}
    if any(entry.evidence.was_running or entry.number in asked_again for entry in lost):
        return UNKNOWN, f"{_many(lost, 'answer')} did not arrive whole; why, and who asked again, is not seen here", ()
    if lost:
        return GOOD, f"{_many(lost, 'answer')} did not arrive whole, and none was asked for again as it was", lost
    return UNKNOWN, "every answer that was begun arrived", ()


def _whole(asked: Sequence[Entry], _: Sequence[Repeat]) -> Found:
    """An answer that broke off does not stand in a later conversation as if it were whole, with nothing said of it."""
    wrong = [entry for entry in asked if entry.evidence.goes_on is not None]
    if wrong:
        return BAD, f"request {wrong[0].number} takes the beginning of answer {wrong[0].evidence.goes_on} for all of it", wrong
    return UNKNOWN, "what became of an answer is not seen here, unless a conversation goes on with it", ()


def _time_out(asked: Sequence[Entry], _: Sequence[Repeat]) -> Found:
    """A time-out of one's own is set: shorter than the ten minutes that openai and anthropic wait by default, as they tell in a header; to tell none is to have none."""
    told = [entry for entry in asked if entry.evidence.patience is not None]
    if patient := [entry for entry in told if (entry.evidence.patience or 0) >= DEFAULT_PATIENCE]:
        longest = max(entry.evidence.patience or 0 for entry in patient)
        return BAD, f"{_of(patient, told)} would wait {f'{longest:g} s' if isfinite(longest) else 'for ever'} in silence", patient
    if told:
        return GOOD, f"all {len(told)} that say so would wait {max(entry.evidence.patience or 0 for entry in told):g} s at most", told
    return UNKNOWN, "this SDK does not say how long it waits", ()


def _limit_headers(asked: Sequence[Entry], repeats: Sequence[Repeat]) -> Found:
    """After an answer which said that no request is left, none is sent on its connection that is refused for its rate, before the time in which one comes back; unless it waited as long as a refusal had told it."""
    before: dict[tuple[str, str, Line | None], Entry] = {}  # limits are kept for each model; who sends on a connection has read what came on it
    told_when = {repeat.again.number for repeat in repeats if repeat.has_waited}  # whoever it is that waited
    warned, ignored = [], []
    for entry in asked:
        place = entry.provider, entry.model, entry.evidence.line
        if entry.evidence.line is not None and (told := before.get(place)) and told.evidence.left == 0 and not told.evidence.refusal:
            one_more, is_refused = told.evidence.one_more, entry.evidence.refusal in ("rate_limited", DAY_USED_UP) and not entry.fault
            if one_more is not None or not is_refused:  # else nobody said whether it came too early
                warned.append(entry)
            early = entry.at - told.evidence.ended < (one_more or 0.0) - SLACK
            if early and is_refused and entry.number not in told_when:
                ignored.append(entry)
        before[place] = entry
    if ignored:
        return BAD, f"{_many(ignored)} came right after an answer which said that none is left, and had to be refused", ignored
    if warned:
        return GOOD, f"{_many(warned)} came after an answer which said that none is left, and late enough", warned
    return UNKNOWN, "nothing was seen to come after an answer which said that none is left", ()


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
READ = {
    "retry-after": "12b_retries: What the provider asks for",
    "hopeless retries": "12a_rate_limits: Refusals that no wait can help",
    "retry storm": "12b_retries: The storm",
    "jitter": "12b_retries: How long to wait",
    "paid twice": "12c_timeouts: Thirty seconds",
    "broken answers": "03c_broken_streams: Go on from where it broke",
    "time-out": "12c_timeouts: What to set",
    "limit headers": "12a_rate_limits: Pace yourself",
    "budget": "14c_the_dashboard: A guard before each call",
}


def _all(repeats: Sequence[Repeat]) -> list[Entry]:
    return [repeat.again for repeat in repeats]


def _many(some: Sequence[Any], what: str = "request") -> str:
    return f"{len(some)} {what}{'' if len(some) == 1 else 's'}"


def _of(some: Sequence[Any], everything: Sequence[Any]) -> str:
    return f"{len(some)} of {len(everything)}"
