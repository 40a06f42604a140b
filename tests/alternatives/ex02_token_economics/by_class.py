"""Right, of another shape: one loop over kinds of tokens, match instead of hasattr, money added up step by step."""

# %% rates
def rates_of(model: str, batch: bool = False) -> Rates:
    found = (BATCH if batch else RATES).get(model)
    if found is None:
        raise LookupError("Nobody has told us what " + repr(model) + " costs; ask finance before you use it.")
    return found


def plain_cost(input_tokens: int, output_tokens: int, rates: Rates) -> Decimal:
    total = Decimal(0)
    for count, rate in ((input_tokens, rates.input), (output_tokens, rates.output)):
        total += rate * count / Decimal("1e6")
    return total


# %% use
def use_of(usage):
    match usage:
        case anthropic.types.Usage():
            stored, read = usage.cache_creation_input_tokens or 0, usage.cache_read_input_tokens or 0
            thought = usage.output_tokens_details.thinking_tokens if usage.output_tokens_details else 0
            return Use(usage.input_tokens + stored + read, usage.output_tokens, read, stored, thought or 0)
        case _:
            detail = usage.prompt_tokens_details
            read = getattr(detail, "cached_tokens", 0) or 0
            stored = getattr(detail, "cache_write_tokens", 0) or 0
            thought = getattr(usage.completion_tokens_details, "reasoning_tokens", 0) or 0
            return Use(usage.prompt_tokens, usage.completion_tokens, read, stored, thought)


# %% cost
KINDS = {"input": lambda u: u.input_tokens - u.cache_read_tokens - u.cache_write_tokens, "cache_read": lambda u: u.cache_read_tokens, "cache_write": lambda u: u.cache_write_tokens, "output": lambda u: u.output_tokens}


def call_cost(use: Use, rates: Rates) -> Decimal:
    applied = rates
    if rates.above is not None:
        applied = rates.long if use.input_tokens > rates.above else rates
    total = Decimal(0)
    for kind, count in KINDS.items():
        rate = getattr(applied, kind)
        total = total + count(use) * (applied.input if rate is None else rate)
    return total / Decimal(1_000_000)


# %% budget
def _fits(work, model):
    return sum((work.shared, work.own, work.output)) <= WINDOW[model]


def monthly_cost(work, model):
    if not _fits(work, model):
        return
    total, rates = Decimal(0), rates_of(model, batch=work.wait)
    is_cached = work.shared >= SHORTEST[model]
    for count, kind in ((work.cold, "cache_write_tokens"), (work.calls - work.cold, "cache_read_tokens")):
        total += count * call_cost(Use(work.shared + work.own, work.output, **({kind: work.shared} if is_cached else {})), rates)
    return total


def cheapest(work, models):
    best = None
    for model in models:
        usd = monthly_cost(work, model)
        if usd is not None and (best is None or usd < best[1]):
            best = (model, usd)
    if best is None:
        raise ValueError(f"{work.name}: too long for all of them")
    return best
