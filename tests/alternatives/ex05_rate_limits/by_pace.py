"""Right, of another shape: a key as text, a pace with a little air instead of a window, a list for the queue."""

# %% key
def key(question):
    words = question.text.lower().split()
    return (json.dumps([question.customer, words]),)


def unpack(reply, questions):
    answers = {}
    try:
        items = dict(json.loads(reply)) if reply.lstrip().startswith("{") else {}
    except ValueError:
        items = {}
    for place in range(len(questions)):
        answer = items.get(f"{place + 1}")
        if type(answer) is str and not answer.isspace() and answer != "":
            answers[questions[place].id] = answer
    return answers

# %% judge
def load_of(trace, packed):
    seen, again, tokens = set(), 0, 0
    for question in trace.questions:
        again += key(question) in seen
        seen.add(key(question))
        tokens += question.tokens
    number = len(trace.questions)
    return Load(per_minute=number / trace.minutes, tokens=tokens / number, repeats=again / number, packed=packed)


def utilisation(load, quota):
    fresh = load.per_minute - load.per_minute * load.batched
    fresh -= fresh * load.repeats
    return (fresh / (load.packed * quota.requests), load.tokens * fresh / quota.tokens)


def judge(load, quota, target=0.9):
    by_requests, by_tokens = utilisation(load, quota)
    needed = (by_requests * quota.requests / target, by_tokens * quota.tokens / target)
    worst = max(by_requests, by_tokens)
    all_asked = max(1 / load.packed / quota.requests, load.tokens / quota.tokens) * load.per_minute * (1 - load.batched)
    misses = target / all_asked if all_asked else 1
    return Verdict(bool(worst <= target + 1e-12), *needed, repeats=1 - min(1, misses))

# %% limiter
class Limiter:
    """Calls at an even pace; tokens are counted by the second, and a second counts until all of it is a minute old."""

    def __init__(self, quota):
        self.quota, self.last, self.seconds = quota, -math.inf, {}

    def wait(self, tokens, now):
        if tokens > self.quota.tokens:
            raise ValueError("more tokens than a minute has: it would wait for ever")
        self.seconds = {second: used for second, used in self.seconds.items() if second + 61 > now}
        room = self.quota.tokens - sum(self.seconds.values())
        pause = self.last + 60 / self.quota.requests - now
        for second, used in self.seconds.items():
            if room < tokens:
                pause = max(pause, second + 61 - now)
                room += used
        return max(0.0, pause)

    def take(self, tokens, now):
        self.last = now
        second = math.floor(now)
        self.seconds[second] = self.seconds.get(second, 0) + tokens

# %% strategy
class Strategy:
    def __init__(self, quota, packing, deliver):
        self.limiter = Limiter(quota)
        self.packing = packing
        self.deliver = deliver
        self.cache = {}
        self.line = deque()
        self.same = {}

    def arrive(self, question, now):
        k = key(question)
        if k in self.cache:
            self.deliver(question, self.cache[k])
        elif k in self.same:
            self.same[k].append(question)
        else:
            self.same[k] = [question]
            self.line.append(question)

    def _head(self):
        head = [self.line[place] for place in range(min(self.packing, len(self.line)))]
        while len(head) > 1 and sum(q.tokens for q in head) > self.limiter.quota.tokens:
            head.pop()
        return head

    def wait(self, now):
        head = self._head()
        if not head:
            return math.inf
        return self.limiter.wait(sum(q.tokens for q in head), now)

    def next(self, now):
        head = self._head()
        if head and self.wait(now) == 0:
            self.limiter.take(sum(q.tokens for q in head), now)
            return head
        return []

    def done(self, questions, reply, now):
        if reply is None:
            return
        found = unpack(reply, questions)
        back = []
        for question in questions:
            assert self.line.popleft() is question
            if question.id not in found:
                back.append(question)
                continue
            k = key(question)
            self.cache[k] = found[question.id]
            for one in self.same.pop(k):
                self.deliver(one, self.cache[k])
        self.line.extendleft(reversed(back))

    def waiting(self):
        return [q.id for askers in self.same.values() for q in askers]

# %% ask
def quota_now():
    headers = client.chat.completions.with_raw_response.create(messages=messages_of([]), **MODEL).headers
    limits = {name: int(headers.get(f"x-ratelimit-limit-{name}")) for name in ("requests", "tokens")}
    return Quota(**limits)


def ask(questions):
    raw = None
    try:
        raw = client.chat.completions.with_raw_response.create(messages=messages_of(questions), response_format=format_of(questions), **MODEL)
    except openai.RateLimitError as error:
        if error.code != "rate_limit_exceeded":
            raise error
    return raw and raw.parse().choices[0].message.content
