"""Right, of another shape: a slotted Secret, a class for each place, patterns compiled one by one, and the files that each commit names."""

# %% secret
class Secret:
    __slots__ = ("__value", "found_in")

    def __init__(self, key: str, found_in: str) -> None:
        self.__value, self.found_in = key, found_in

    def reveal(self) -> str:
        return self.__value

    def __repr__(self) -> str:
        return f"Secret(found in {self.found_in})"

    def __reduce_ex__(self, protocol):
        raise TypeError("cannot pickle a Secret")


# %% find_key
class Environment:
    place, where = ENVIRONMENT, "the environment"

    def __init__(self, environ):
        self.environ = environ

    def values(self):
        return self.environ


class File:
    place, where = DOTENV, "a file .env"

    def __init__(self, path):
        self.path = path

    def values(self):
        if not self.path.is_file():
            return {}
        text = self.path.read_bytes().decode("utf-8-sig", errors="replace")
        if "\N{REPLACEMENT CHARACTER}" in text or "\0" in text:
            raise ValueError(f"{self.path.name} has bytes that are not UTF-8")
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".env", delete=False) as copy:
            copy.write(text)
        try:
            return dotenv_values(copy.name, encoding="utf-8", interpolate=False)
        finally:
            os.unlink(copy.name)


class Manager:
    place, where = AWS, f"{SECRET_ID} of AWS"

    def __init__(self, client):
        self.client = client

    def values(self):
        parsers = logging.getLogger("botocore.parsers")
        level = parsers.level
        parsers.setLevel(logging.CRITICAL)
        try:
            return self.read()
        finally:
            parsers.setLevel(level)

    def read(self):
        try:
            text = self.client.get_secret_value(SecretId=SECRET_ID).get("SecretString", "")
        except self.client.exceptions.ResourceNotFoundException:
            return {}
        found = None
        try:
            found = json.loads(text)
        except json.JSONDecodeError as error:
            error.doc = ""
        if type(found) is dict:
            return found
        raise ValueError(f"{SECRET_ID} should be a JSON object")


def find_key(name, environ, dotenv, secrets):
    places = [Environment(environ), File(dotenv), Manager(secrets)]
    for place in places:
        value = place.values().get(name)
        key = value.strip() if isinstance(value, str) else None
        if key:
            return Secret(found_in=place.place, key=key)
    raise LookupError(f"looked for {name} in {', then in '.join(place.where for place in places)}: there is none")


# %% keys_in
RULES = [
    ("openai", re.compile(r"sk-(proj|svcacct|admin)-[\w-]+", re.ASCII)),
    ("openai", re.compile(r"sk-[^\W_]{20}T3BlbkFJ[^\W_]{20}", re.ASCII)),
    ("anthropic", re.compile(r"sk-ant-api03-[\w-]{93}AA", re.ASCII)),
    ("google", re.compile(r"AIza[\w-]{35}", re.ASCII)),
    ("aws", re.compile(r"A[KS]IA[A-Z2-7]{16}")),
    ("huggingface", re.compile(r"hf_[a-zA-Z]{34}")),
]


def keys_in(text: str) -> list[Hit]:
    return [Hit(number, provider, fingerprint(word)) for number, line in enumerate(text.split("\n"), 1) for word in re.split(r"[^A-Za-z0-9_-]+", line) for provider in _providers(word)]


def _providers(word):
    for provider, rule in RULES:
        if rule.fullmatch(word) and "EXAMPLE" not in word and max(Counter(word).values()) * 2 <= len(word):
            if "(" not in rule.pattern or _has_mark(word):
                yield provider


def _has_mark(word):
    body = word.split("-", 2)[2]
    return any(body[at : at + 8] == MARK and len(body) - at - 8 in (58, 74) for at in (58, 74))


# %% scan
def _in_bytes(commit, file, content):
    return {Finding(commit, file, hit.line, hit.provider, hit.fingerprint) for hit in keys_in(content.decode("ascii", "replace"))}


def scan_files(folder):
    found = set()

    def look(inner):
        for entry in os.scandir(inner):
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                if not (entry.name == ".git" and inner == folder):
                    look(path)
            elif entry.is_file():
                found.update(_in_bytes("", "/".join(path.relative_to(folder).parts), path.read_bytes()))

    look(folder)
    return found


def scan_history(folder):
    every = git(folder, "log", "--all", "--format=%ct %H").decode().splitlines()
    found, known = set(), set()
    for line in sorted(every, key=lambda line: int(line.split()[0])):
        commit = line.split()[1]
        names = git(folder, "ls-tree", "-r", "--name-only", "--full-tree", "-z", commit).decode().split("\0")
        for file in filter(None, names):
            for finding in _in_bytes(commit, file, git(folder, "show", f"{commit}:{file}")):
                if (file, finding.fingerprint) not in known:
                    known.add((file, finding.fingerprint))
                    found.add(finding)
    return found
