"""Batches in live and record mode. One is priced before it is made, as the sum of the most that each of its requests can cost.

What it then really costs is known a day later, perhaps to another kernel: the whole sum counts as spent, and is not given back.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from helpers.gateway.exchange import Question, Refusal, Usage
from helpers.gateway.sources import budget
from helpers.gateway.sources.budget import Budget
from helpers.gateway.sources.charged_fields import unpriced
from helpers.gateway.sources.charges import Bound
from helpers.gateway.threads import in_thread
from helpers.gateway.wire import Call, Cut, Dialect, Response, compact

if TYPE_CHECKING:
    from helpers.gateway.meter import Entry

Send = Callable[[Call], Awaitable[Response]]


class Orders:
    """The uploads, batches and cancellations of this process."""

    def __init__(self, funds: Budget) -> None:
        self._funds = funds
        self._made: set[str] = set()  # ids of batches

    async def carry_out(self, dialect: Dialect, call: Call, entry: Entry, send: Send) -> Response | None:
        """Pass one of them on by `send`; None for any other call. Raises Refusal("over_budget") before anything is sent."""
        if call.method != "POST" or entry.operation not in ("files", "batches", "batch cancel"):
            return None
        if entry.operation == "files":
            return await self._upload(dialect, call, send)
        if entry.operation == "batches":
            return await self._create(dialect, call, entry, send)
        if call.groups["id"] not in self._made:
            raise unpriced("to cancel a batch that this kernel did not make changes what is charged for it, which")
        return await send(call)

    async def _upload(self, dialect: Dialect, call: Call, send: Send) -> Response | None:
        """An upload is free. What was uploaded is kept, for the price of a batch that is made of it."""
        file = await in_thread(None, dialect.batch_file, call)
        if file is None:
            return None
        response = await send(call)
        if response.status < 300:
            id = json.loads(response.body)["id"]
            call.services.batches.files[id] = replace(file, id=id)
        return response

    async def _create(self, dialect: Dialect, call: Call, entry: Entry, send: Send) -> Response:
        # Written anew, so that what was priced is what is sent: a field that is given twice is not.
        call = replace(call, body=compact(call.json))
        count, question, charge, usd = await in_thread(None, _priced, dialect, call)
        self._funds.hold(question, charge, usd)
        try:
            response = await send(call)
        except BaseException as error:
            if isinstance(error, Refusal) or (isinstance(error, Cut) and not getattr(error, "sent", True)):
                self._funds.release(usd)
            else:
                self._funds.settle(question, usd, None)
            raise
        if response.status >= 300:
            self._funds.release(usd)
            return response
        self._funds.settle(question, usd, None)
        body = json.loads(response.body)
        self._made.add((body.get("id") or body["name"]).rpartition("/")[2])
        entry.model, entry.batch = question.model.id, True
        entry.usage = Usage(charge.input_tokens, output_tokens=charge.output_tokens)
        entry.note = f"a batch of {count:,} requests: the tokens are those that it can have at most"
        return response


def _priced(dialect: Dialect, call: Call) -> tuple[int, Question, Bound, Decimal]:
    """How many requests there are, the first of them, and the most that all can be charged. Raises Refusal."""
    questions = dialect.batch_questions(call)
    if not questions:
        raise unpriced("a batch whose requests are not all known here, or not as they should be,")
    bounds = [budget.most(question, compact(body)) for question, body in questions]
    whole = Bound(sum(bound.input_tokens for bound, _ in bounds), sum(bound.output_tokens for bound, _ in bounds))
    return len(questions), questions[0][0], whole, sum((usd for _, usd in bounds), Decimal(0))
