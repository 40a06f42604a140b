"""Submissions that attack: their grader's machine, its secrets, the others, or the checks. None of them is right, all of them want points."""

from __future__ import annotations

from nbformat import NotebookNode

from tests.exercises.sample import edited_checks, work

WRONG = {"cost": "def cost(tokens):\n    return 0", "longest": "def longest(words):\n    return ''"}
SAY = "def cost(tokens):\n    raise RuntimeError(str(loot))\nlongest = cost"  # the only way out: an error that a check tells

EVERYWHERE = ["/home", "/root", "/tmp", "/var", "/run", "/mnt", "/srv", "/opt", "/etc", "/proc/1/root", "/proc/1/cwd", "/dev/shm"]
# Looks for planted words wherever it can, and says which it found; PLACES and WORDS are put in by the test.
HUNT = '''
import os, subprocess
places, words = {places!r}, {words!r}
seen = [repr(dict(os.environ)), subprocess.run("env; id; ls -l /proc/self/fd; cat /proc/*/environ /proc/*/cmdline", shell=True, capture_output=True).stdout.decode(errors="replace")]
for place in places:
    for folder, folders, files in os.walk(place):
        folders[:] = [name for name in folders if name not in ("site-packages", ".venv", "versions", "lib", "ssl", "fonts")]
        for file in files:
            seen.append(file)
            try:
                with open(os.path.join(folder, file), errors="replace") as opened:
                    seen.append(opened.read(100_000))
            except OSError:
                pass
    try:
        seen.append(open(place).read())
    except OSError:
        pass
loot = "LOOT " + str([word for word in words if word in " ".join(seen)])
'''
CONNECT = '''
import socket
loot = "LOOT"
for address in [("127.0.0.1", {port}), ("192.0.2.1", 80), ("8.8.8.8", 53)]:
    try:
        socket.create_connection(address, timeout=1).close()
        loot += f" reached {{address[0]}}"
    except OSError:
        pass
'''
TAKE_PRIVILEGES = '''
import ctypes, os, subprocess
libc, loot = ctypes.CDLL(None), "LOOT"
attempts = ["mount -t tmpfs tmpfs /mnt", "mount -o remount,rw /usr", "umount -l /proc", "unshare -U true", "chroot / true", "mknod /x b 254 0", "nsenter -t 1 -m true", "chmod 0 /dev/null", "echo 1 > /proc/sys/kernel/panic", "echo x > /proc/sysrq-trigger", "kill -9 1"]
for attempt in attempts:
    if subprocess.run(attempt, shell=True, capture_output=True).returncode == 0 and attempt != "kill -9 1":
        loot += " " + attempt
if libc.ptrace(16, 1, 0, 0) == 0 or libc.setns(os.open("/proc/self/ns/mnt", os.O_RDONLY), 0) == 0:
    loot += " ptrace or setns"
'''
STAY = "import ctypes, os, time\nif os.fork() == 0:\n    os.setsid()\n    ctypes.CDLL(None).prctl(1, 0)\n    if os.fork() == 0:\n        while True:\n            time.sleep(1)"
FALSE_ANSWERS = '''
def cost(tokens):
    kernel = get_ipython().kernel
    answer = {"status": "ok", "execution_count": 1, "payload": [], "user_expressions": {}}
    kernel.session.send(kernel.shell_stream, "execute_reply", answer, kernel.get_parent("shell"), ident=kernel._parent_ident["shell"])
    return 0
longest = cost
'''
DROP_ASSERTS = '''
import ast
class Drop(ast.NodeTransformer):
    def visit_Assert(self, node):
        return ast.copy_location(ast.Pass(), node)
get_ipython().ast_transformers.append(Drop())
'''
DROP_LONG = '''
before = get_ipython().run_cell_async
async def run_cell_async(code, *args, **kwargs):
    if "found = cost" in code or "longest" in code:
        code = kwargs["transformed_cell"] = "pass"
    return await before(code, *args, **kwargs)
get_ipython().run_cell_async = run_cell_async
'''
EQUAL = "class Equal:\n    def __eq__(self, other): return True\n    def __ne__(self, other): return False\n    def __len__(self): return 4\n    __hash__ = None\ndef cost(tokens):\n    return Equal()\nlongest = cost"
LYING_DECIMAL = "import decimal\nclass Lying(decimal.Decimal):\n    def __eq__(self, other): return True\ndef cost(tokens):\n    return Lying(5)"
LEAK = '''
import sys
seen = []
get_ipython().events.register("pre_run_cell", lambda info: seen.append(info.raw_cell))
def cost(tokens):
    frame = sys._getframe()
    while frame:
        seen.append(str(frame.f_locals.get("cell", "")) + str(frame.f_locals.get("code", "")))
        frame = frame.f_back
    raise RuntimeError("LEAK " + " ".join(seen)[-400:])
longest = cost
'''


def attacks(places: list[str], words: list[str], port: int) -> dict[str, tuple[NotebookNode, str, int | None, str]]:
    """Each attack with the state that it has to end in, its points (None: any that its honest part earns), and words to be said."""
    hunt = HUNT.format(places=places, words=words)
    return {
        "loop": (work(**WRONG | {"cost": "while True:\n    pass"}), "graded", 0, "took too long"),
        "loop in a function": (work(cost="def cost(tokens):\n    while True:\n        pass"), "graded", 3, "took longer than"),
        "loop that ignores signals": (work(cost="import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True:\n    time.sleep(1)"), "ended", 0, "went on when it was interrupted"),
        "exit": (work(longest="import os\nos._exit(3)"), "ended", 2, "its own code ended it, with status 3"),
        "sys exit": (work(longest="def longest(words):\n    raise SystemExit"), "graded", 3, "SystemExit"),
        "kill": (work(longest="import os\nos.kill(os.getpid(), 9)"), "ended", 2, "signal 9"),
        "kill all": (work(longest="import os\nos.kill(-1, 9)"), None, 3, ""),
        "forks": (work(cost="import os\nwhile True:\n    os.fork()"), "ended", 0, "more than"),
        "stays": (work(first=STAY), None, None, ""),
        "memory": (work(cost="hoard = []\nwhile True:\n    hoard.append(bytearray(50_000_000))"), None, None, ""),
        "memory of many": (work(cost="import os, time\nfor _ in range(12):\n    if os.fork() == 0:\n        hoard = b'x' * 150_000_000\n        time.sleep(60)\ntime.sleep(60)"), "ended", 0, "of memory"),
        "disk": (work(**WRONG | {"cost": "for number in range(1000):\n    with open(f'/tmp/{number}', 'wb') as file:\n        file.write(bytes(10_000_000))"}), "graded", 0, "OSError"),
        "one large file": (work(**WRONG | {"cost": "with open('large', 'wb') as file:\n    while True:\n        file.write(bytes(1_000_000))"}), "graded", 0, "too large"),
        "deletes": (work(**WRONG | {"cost": f"import shutil, os\nfor place in {places!r} + [os.getcwd(), os.path.expanduser('~'), '/home', '/work', '/tmp']:\n    shutil.rmtree(place, ignore_errors=True)"}), None, 0, ""),
        "network": (work(first=CONNECT.format(port=port), **WRONG | {"cost": SAY}), "graded", 0, "LOOT"),
        "hunts keys": (work(first=hunt, **WRONG | {"cost": SAY}), "graded", 0, "LOOT []"),
        "privileges": (work(first=TAKE_PRIVILEGES, **WRONG | {"cost": SAY}), "graded", 0, "LOOT"),
        "output": (work(**WRONG | {"cost": "while True:\n    print('x' * 100_000)"}), None, 0, ""),
        "long error": (work(**WRONG | {"cost": "def cost(tokens):\n    raise ValueError('x' * 2_000_000)"}), None, 0, ""),
        "evil error": (work(**WRONG | {"cost": "class Evil(Exception):\n    def __str__(self): raise self\n    __repr__ = __str__\ndef cost(tokens):\n    raise Evil"}), None, 0, ""),
        "builtins": (work(after="import builtins\nbuiltins.isinstance = lambda *_: True\nbuiltins.len = lambda _: 4", **WRONG), None, 0, ""),
        "one builtin": (work(after="import builtins\nbuiltins.sum = lambda *_: 4", **WRONG), "tampered", 0, "builtins.sum"),
        "globals": (work(after="isinstance = lambda *_: True\nlen = type = sum = lambda *_: 4", **WRONG), "graded", 0, ""),
        "lying Decimal": (work(**WRONG | {"cost": LYING_DECIMAL}), "graded", 0, "5.00 USD"),
        "module": (work(after="import decimal\ndecimal.Decimal = lambda _: 0", **WRONG), "tampered", 0, "decimal.Decimal"),
        "course": (work(after="from helpers import costs\ncosts.dollars = lambda _: '2.00 USD'", **WRONG), "tampered", 0, "helpers.costs.dollars"),
        "its code": (work(after="from helpers import costs\ncosts.dollars.__code__ = (lambda usd: '2.00 USD').__code__", **WRONG), "tampered", 0, "helpers.costs.dollars"),
        "constants": (work(after="WORDS.clear()", **WRONG), "tampered", 0, "WORDS"),
        "constants anew": (work(after="WORDS = []\nRATE = 0", **WRONG), "graded", 0, ""),
        "always equal": (work(**WRONG | {"cost": EQUAL}), "graded", 0, "this is a Equal"),
        "no asserts": (work(after=DROP_ASSERTS, **WRONG), "tampered", 0, ""),
        "another shell": (work(after=DROP_LONG, **WRONG), "tampered", 0, "methods of the shell"),
        "false answers": (work(**WRONG | {"cost": FALSE_ANSWERS, "longest": "longest = cost"}), "tampered", 0, "answered twice"),
        "two kernels": (work(after="import os\nos.fork()", **WRONG), None, 0, ""),
        "edited checks": (edited_checks(), "graded", 0, "this is a int"),
        "leaks": (work(cost=LEAK, longest="longest = cost"), "graded", 0, "LEAK"),
        "<script>alert(1)<": (work(**WRONG | {"cost": "def cost(tokens):\n    raise ValueError('<script>alert(1)</script>')"}), "graded", 0, "<script>"),
    }  # fmt: skip
