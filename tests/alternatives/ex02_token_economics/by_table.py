"""Right, of another shape: rates by a dictionary and attributes by name, costs as a generator, a subclass of KeyError."""

# %% rates
class NoPrice(KeyError):
    pass


def rates_of(model, batch=False):
    try:
        return {False: RATES, True: BATCH}[bool(batch)][model]
    except KeyError:
        raise NoPrice(f"There is no price for the model {model}. Add a row with today's date, then book it again.") from None


def plain_cost(input_tokens, output_tokens, rates):
    per_token = Decimal(1) / Decimal(10**6)
    return Decimal(input_tokens) * rates.input * per_token + Decimal(output_tokens) * rates.output * per_token


# %% use
def _number(thing, *path):
    for name in path:
        thing = getattr(thing, name, None)
    return thing or 0


def use_of(usage):
    if isinstance(usage, openai.types.CompletionUsage):
        detail = lambda *path: _number(usage, *path)
        return Use(
            usage.prompt_tokens,
            usage.completion_tokens,
            detail("prompt_tokens_details", "cached_tokens"),
            detail("prompt_tokens_details", "cache_write_tokens"),
            detail("completion_tokens_details", "reasoning_tokens"),
        )
    read, wrote = _number(usage, "cache_read_input_tokens"), _number(usage, "cache_creation_input_tokens")
    return Use(sum((usage.input_tokens, read, wrote)), usage.output_tokens, read, wrote, _number(usage, "output_tokens_details", "thinking_tokens"))


# %% cost
def call_cost(use, rates):
    if rates.long and use.input_tokens > rates.above:
        return call_cost(use, rates.long)
    read = rates.cache_read if rates.cache_read is not None else rates.input
    write = rates.cache_write if rates.cache_write is not None else rates.input
    # from the whole prompt, what caching makes cheaper or dearer
    plain = plain_cost(use.input_tokens, use.output_tokens, rates)
    return plain + (use.cache_read_tokens * (read - rates.input) + use.cache_write_tokens * (write - rates.input)) / Decimal(10**6)


# %% budget
def monthly_cost(work, model):
    if work.shared + work.own + work.output > WINDOW[model]:
        return None
    kept = work.shared * (work.shared >= SHORTEST[model])
    uses = [Use(work.shared + work.own, work.output, cache_write_tokens=kept)] * min(work.cold, 1) + [Use(work.shared + work.own, work.output, cache_read_tokens=kept)]
    numbers = [work.cold] * min(work.cold, 1) + [work.calls - work.cold]
    return sum(n * call_cost(use, rates_of(model, work.wait)) for n, use in zip(numbers, uses))


def cheapest(work, models):
    ranked = sorted((cost, model) for model in models if (cost := monthly_cost(work, model)) is not None)
    if ranked:
        return ranked[0][1], ranked[0][0]
    raise ValueError("no model can do this")
