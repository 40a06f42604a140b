"""Right, of another shape: numbered answers by regular lookups, two small buckets, questions marked instead of moved."""

# %% key
def key(question: Question) -> tuple:
    return (" ".join(question.text.upper().split()), "everybody" if question.customer is None else f"customer {question.customer}")


def unpack(reply: str, questions: list[Question]) -> dict[int, str]:
    try:
        match json.loads(reply):
            case dict() as numbered:
                by_number = {str(n): q.id for n, q in enumerate(questions, 1)}
                return {by_number[n]: text for n, text in numbered.items() if n in by_number and isinstance(text, str) and text.strip()}
            case _:
                return {}
    except json.JSONDecodeError:
        return {}

# %% judge
def _asked(load: Load) -> float:
    return load.per_minute * (1 - load.batched) * (1 - load.repeats)


def load_of(trace: Trace, packed: float) -> Load:
    keys = [key(question) for question in trace.questions]
    mean = math.fsum(question.tokens for question in trace.questions) / len(keys)
    return Load(len(keys) / trace.minutes, mean, (len(keys) - len(set(keys))) / len(keys), packed, 0.0)


def utilisation(load: Load, quota: Quota) -> tuple[float, float]:
    return _asked(load) / (load.packed * quota.requests), _asked(load) * load.tokens / quota.tokens


def judge(load: Load, quota: Quota, target: float = 0.9) -> Verdict:
    calls, tokens = _asked(load) / load.packed, _asked(load) * load.tokens
    enough = []
    now = load.per_minute * (1 - load.batched)
    for limit, each in ((quota.requests, 1 / load.packed), (quota.tokens, load.tokens)):
        enough.append(1 - target * limit / each / now if now else 0.0)
    fits = calls <= target * quota.requests + 1e-9 and tokens <= target * quota.tokens + 1e-6
    return Verdict(fits, calls / target, tokens / target, max(0.0, *enough))

# %% limiter
class Limiter:
    """A bucket of a few calls, which refills by what is left of the quota, and a list of what went for the tokens."""

    def __init__(self, quota: Quota) -> None:
        self.size = max(1, quota.requests // 50)
        self.rate = (quota.requests - self.size + 1) / 60 if self.size > 1 else quota.requests / 60
        self.left, self.at, self.quota, self.log = float(self.size), 0.0, quota, []

    def _level(self, now: float) -> float:
        return min(self.size, self.left + (now - self.at) * self.rate)

    def wait(self, tokens: int, now: float) -> float:
        if tokens > self.quota.tokens:
            raise ValueError(f"{tokens} tokens are more than the {self.quota.tokens} of a minute")
        self.log = [(at, size) for at, size in self.log if at > now - 60]
        moment = now
        over = sum(size for _, size in self.log) + tokens - self.quota.tokens
        for at, size in self.log:
            if over <= 0:
                break
            over -= size
            moment = at + 60
        missing = 1 - self._level(now)
        return max(0.0, moment - now, missing / self.rate if missing > 1e-9 else 0.0)

    def take(self, tokens: int, now: float) -> None:
        self.left, self.at = self._level(now) - 1, now
        self.log.append((now, tokens))

# %% strategy
class Strategy:
    """Keeps every question in one ordered dictionary by id until it is answered."""

    def __init__(self, quota: Quota, packing: int, deliver: Callable) -> None:
        self.limiter, self.packing, self.deliver = Limiter(quota), packing, deliver
        self.open: dict[int, Question] = {}
        self.leaders: dict[tuple, int] = {}
        self.followers: dict[int, list[int]] = {}
        self.answers: dict[tuple, str] = {}

    def arrive(self, question: Question, now: float) -> None:
        answer = self.answers.get(key(question))
        if answer is not None:
            return self.deliver(question, answer)
        self.open[question.id] = question
        leader = self.leaders.setdefault(key(question), question.id)
        self.followers.setdefault(leader, []).append(question.id)

    def plan(self) -> list[Question]:
        chosen, room = [], self.limiter.quota.tokens
        for leader in self.followers:
            room -= self.open[leader].tokens
            if len(chosen) == self.packing or (room < 0 and chosen):
                break
            chosen.append(self.open[leader])
        return chosen

    def next(self, now: float) -> list[Question]:
        chosen = self.plan()
        tokens = sum(question.tokens for question in chosen)
        if chosen and self.limiter.wait(tokens, now) <= 0:
            self.limiter.take(tokens, now)
            return chosen
        return []

    def wait(self, now: float) -> float:
        chosen = self.plan()
        return self.limiter.wait(sum(question.tokens for question in chosen), now) if chosen else math.inf

    def done(self, questions: list[Question], reply: str | None, now: float) -> None:
        for id, answer in unpack(reply or "", questions).items():
            leader = self.open[id]
            self.answers[key(leader)] = answer
            del self.leaders[key(leader)]
            for follower in self.followers.pop(id):
                self.deliver(self.open.pop(follower), answer)

    def waiting(self) -> list[int]:
        return list(self.open)

# %% ask
def quota_now() -> Quota:
    with client.chat.completions.with_streaming_response.create(messages=[{"role": "user", "content": "1"}], **MODEL) as response:
        headers = response.headers
    return Quota(requests=int(headers["x-ratelimit-limit-requests"]), tokens=int(headers["x-ratelimit-limit-tokens"]))


def ask(questions: list[Question]) -> str | None:
    try:
        done = client.chat.completions.create(**MODEL, messages=messages_of(questions), response_format=format_of(questions))
        return done.choices[0].message.content
    except openai.APIStatusError as error:
        if error.status_code == 429 and "insufficient_quota" not in json.dumps(error.body):
            return None
        raise
