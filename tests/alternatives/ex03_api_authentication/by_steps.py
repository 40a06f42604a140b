"""Right, of another shape: a closure holds the key, three plain steps find it, one pattern with lookarounds, and `git log -p` read line by line."""

# %% secret
class Secret:
    def __init__(self, key, found_in):
        self.reveal = lambda: key
        self.found_in = found_in

    def __str__(self):
        return "key (" + self.found_in + ")"

    __repr__ = __str__

    def __getstate__(self):
        raise TypeError("keys stay in this process")


# %% find_key
import io


def find_key(name, environ, dotenv, secrets):
    if key := environ.get(name, "").strip():
        return Secret(key, ENVIRONMENT)
    if dotenv.exists():
        try:
            content = dotenv.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError:
            content = None
        if content is None:
            raise ValueError("Your .env cannot be read: open it in an editor and save it as UTF-8.")
        if key := (dotenv_values(stream=io.StringIO(content)).get(name) or "").strip():
            return Secret(key, DOTENV)
    if key := _from_aws(name, secrets):
        return Secret(key, AWS)
    raise KeyError(f"There is no {name}: not in the environment, not in .env, and not in AWS under prod/llm.")


def _from_aws(name, client):
    log, nothing = logging.getLogger("botocore.parsers"), lambda record: False
    log.addFilter(nothing)
    try:
        answer = client.get_secret_value(SecretId="prod/llm")
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return ""
        raise
    finally:
        log.removeFilter(nothing)
    try:
        value = json.loads(answer["SecretString"]).get(name)
    except (ValueError, AttributeError, KeyError):
        raise ValueError("prod/llm should hold a JSON object, and holds something else") from None
    return value.strip() if type(value) is str else ""


# %% keys_in
_W = "[A-Za-z0-9_-]"
_LONG = f"(?:{_W}{{58}}|{_W}{{74}})"
_PATTERN = re.compile(
    f"(?<!{_W})(?:(?P<openai>sk-(?:admin|proj|svcacct)-{_LONG}{MARK}{_LONG}|sk-[0-9a-zA-Z]{{20}}{MARK}[0-9a-zA-Z]{{20}})"
    f"|(?P<anthropic>sk-ant-api03-{_W}{{93}}AA)|(?P<google>AIza{_W}{{35}})|(?P<aws>A[KS]IA[A-Z2-7]{{16}})|(?P<huggingface>hf_[a-zA-Z]{{34}}))(?!{_W})"
)


def keys_in(text):
    hits = []
    for match in _PATTERN.finditer(text):
        key = match.group()
        if "EXAMPLE" in key or any(2 * key.count(letter) > len(key) for letter in set(key)):
            continue
        hits.append(Hit(1 + text.count("\n", 0, match.start()), match.lastgroup, fingerprint(key)))
    return hits


# %% scan
def scan_files(folder):
    found = set()
    for where, folders, files in os.walk(folder):
        if Path(where) == folder and ".git" in folders:
            folders.remove(".git")
        for file in files:
            path = Path(where, file)
            for hit in keys_in(path.read_text(encoding="latin-1")):
                found.add(Finding("", path.relative_to(folder).as_posix(), hit.line, hit.provider, hit.fingerprint))
    return found


def scan_history(folder):
    """What each commit adds, against each of its parents, in Git's own words."""
    patches = git(folder, "-c", "core.quotePath=false", "log", "--all", "--reverse", "-m", "-p", "--unified=0", "--text", "--no-renames", "--format=commit %H")
    first, commit, file, number = {}, "", "", 0
    for line in patches.decode("utf-8", "replace").split("\n"):
        if line.startswith("commit "):
            commit = line.split()[1]
        elif line.startswith("+++ "):
            file = line[4:].rstrip("\t").removeprefix("b/")
        elif line.startswith("@@ "):
            number = int(re.search(r"\+(\d+)", line)[1])
        elif line.startswith("+"):
            for hit in keys_in(line[1:]):
                first.setdefault((file, hit.fingerprint), Finding(commit, file, number, hit.provider, hit.fingerprint))
            number += 1
    return set(first.values())
