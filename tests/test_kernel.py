"""Kernels as learners and tools start them: whatever keys the shell holds, nothing is sent before helpers.start()."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import nbformat
import papermill
import pytest
from jupyter_client.manager import start_new_kernel

from helpers.kernel import FIRST, TERMINAL

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
KEYS = {name: "a-real-key" for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AZURE_API_KEY")}
SHELL = {
    **KEYS,
    "AZURE_OPENAI_ENDPOINT": "https://somebody.openai.azure.com",
    "AWS_PROFILE": "work",
    "ALL_PROXY": "socks5://proxy.example:1080",
    "SSL_CERT_FILE": "/no/such/cacert.pem",
    "COURSE_PACE": "0",
}
SETUP = """
import warnings
warnings.simplefilter("ignore")
import os, sys, openai, anthropic, boto3, litellm
from google import genai
litellm.suppress_debug_info = True
hello = [{"role": "user", "content": "Say hello in five words."}]
reached = set()
sys.addaudithook(lambda event, given: reached.add(str(given[1][0] if event == "socket.connect" and isinstance(given[1], tuple) else given[0])) if event in ("socket.connect", "socket.getaddrinfo") else None)
def gemini(**more):
    client = genai.Client(**more)
    return client.models.generate_content(model="gemini-3.5-flash-lite", contents="x").text
"""
CALLS = {
    "openai": ("BadRequestError", 'openai.OpenAI().chat.completions.create(model="gpt-6-luna", messages=hello)'),
    "a stream": ("BadRequestError", 'openai.OpenAI().chat.completions.create(model="gpt-6-luna", messages=hello, stream=True)'),
    "azure": ("BadRequestError", 'openai.AzureOpenAI().chat.completions.create(model="gpt-6-luna", messages=hello)'),
    "a compatible server": ("BadRequestError", 'openai.OpenAI(base_url=os.environ["COMPATIBLE_BASE_URL"]).models.list()'),
    "anthropic": ("BadRequestError", 'anthropic.Anthropic().messages.create(model="claude-haiku-5-5", max_tokens=5, messages=hello)'),
    "gemini": ("ClientError", "gemini()"),
    "bedrock": ("ClientError", 'boto3.client("bedrock-runtime").converse(modelId="amazon.nova-lite-v1:0", messages=[{"role": "user", "content": [{"text": "x"}]}])'),
    "aws": ("ClientError", 'boto3.client("sts").get_caller_identity()'),
    "claude on aws": ("BadRequestError", 'anthropic.AnthropicBedrock().messages.create(model="us.anthropic.claude-haiku-5-5", max_tokens=5, messages=hello)'),
    "vertex": ("DefaultCredentialsError", 'gemini(vertexai=True, project="p", location="global")'),
    "litellm": ("BadRequestError", 'litellm.completion("anthropic/claude-haiku-5-5", messages=hello)'),
    "litellm to another provider": ("InternalServerError", 'litellm.completion("groq/llama", messages=hello, api_key="k")'),
}


class Kernel:
    """A kernel of this environment, as JupyterLab would start it from a shell with `SHELL`."""

    def __init__(self, **more: str) -> None:
        self._manager, self._client = start_new_kernel(kernel_name="python3", env={**os.environ, **SHELL, **more}, cwd=str(ROOT / "notebooks"))

    def run(self, code: str) -> str:
        """What a cell prints or shows, or its error's class and text."""
        said = []

        def hear(message: dict) -> None:
            content = message["content"]
            if message["msg_type"] == "error":
                said.append(f"{content['ename']}: {content['evalue']}")
            elif message["msg_type"] in ("execute_result", "display_data"):
                said.append(content["data"]["text/plain"])
            elif content.get("name") == "stdout":
                said.append(content["text"])

        self._client.execute_interactive(code, output_hook=hear, timeout=120)
        return "".join(said)

    def hear(self, code: str) -> list[tuple[str, str]]:
        """The kinds and texts of what a cell sends, streams and errors, in order."""
        heard = []

        def keep(message: dict) -> None:
            kind, content = message["msg_type"], message["content"]
            if kind in ("stream", "error"):
                heard.append((kind, content.get("text") or f"{content['ename']}: {content['evalue']}"))

        self._client.execute_interactive(code, output_hook=keep, timeout=120)
        return heard

    def end(self) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)


@pytest.fixture
def kernel():
    started = []

    def start(**more: str) -> Kernel:
        started.append(Kernel(**more))
        return started[-1]

    yield start
    for each in started:
        each.end()


def test_no_sdk_sends_anything_before_start_and_the_error_says_what_to_do(kernel):
    kernel = kernel()
    assert kernel.run(SETUP) == ""
    for name, (error, call) in CALLS.items():
        came = kernel.run(call)
        assert came.startswith(error) and FIRST in came, f"{name}: {came}"
    assert TERMINAL in kernel.run("import urllib.request as web; web.urlopen('https://pypi.example')"), "as pip asks"
    assert "a-real-key" not in kernel.run("!env") + kernel.run("os.environ")
    assert kernel.run("client = openai.OpenAI()") == ""
    card = kernel.run("import helpers; course = helpers.start(); course")
    assert "Set aside: ALL_PROXY, " in card and "AWS_PROFILE" in card and "SSL_CERT_FILE" in card
    assert not any(value in card for value in ("a-real-key", "proxy.example", "cacert"))
    assert "Set aside" not in kernel.run("helpers.start()"), "once is enough"
    assert FIRST in kernel.run("client.models.list()"), "a client keeps its address"
    for name in ("openai", "anthropic", "bedrock", "azure", "litellm"):
        assert kernel.run(f"_ = {CALLS[name][1]}") == "", name
    assert kernel.run("_ = gemini()") == ""
    assert set(json.loads(kernel.run("import json; print(json.dumps(list(reached)))"))) <= {"127.0.0.1", "localhost"}


# ---- whoever starts it ---------------------------------------------------------------------------------------
ASK = """import os, urllib.request, urllib.error
try:
    urllib.request.urlopen(os.environ["OPENAI_BASE_URL"] + "/models")
except urllib.error.HTTPError as error:
    print(error.code, error.reason, "real" in os.environ["OPENAI_API_KEY"])"""
ANSWER = f"400 {FIRST} False\n"


@pytest.fixture
def notebook(tmp_path, monkeypatch):
    """A notebook whose cell asks before helpers.start(), with the answer that it must get."""
    for name, value in SHELL.items():
        monkeypatch.setenv(name, value)
    cell = nbformat.v4.new_code_cell(ASK, execution_count=1, outputs=[nbformat.v4.new_output("stream", name="stdout", text=ANSWER)])
    made = nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}})
    nbformat.write(made, tmp_path / "ask.ipynb")
    return tmp_path / "ask.ipynb"


def printed(notebook):
    return "".join(output.text for output in notebook.cells[0].outputs)


def test_kernels_of_papermill_are_guarded(notebook):
    done = papermill.execute_notebook(notebook, notebook.with_name("done.ipynb"), progress_bar=False, execution_timeout=60)
    assert printed(done) == ANSWER


def test_kernels_of_nbval_are_guarded(notebook):
    ran = subprocess.run([sys.executable, "-m", "pytest", "-q", "--nbval", "-p", "no:cacheprovider", notebook], cwd=notebook.parent, capture_output=True, text=True, timeout=120)
    assert "1 passed" in ran.stdout, ran.stdout


def test_kernels_of_jupyter_execute_are_guarded(notebook):
    subprocess.run([BIN / "jupyter", "execute", "--inplace", notebook], check=True, capture_output=True, timeout=120)
    assert printed(nbformat.read(notebook, as_version=4)) == ANSWER


def test_the_set_up_installs_what_guards_kernels():
    installed = Path(sys.prefix, "etc/ipython/ipython_kernel_config.py")
    assert installed.is_file() and installed.read_text() == (ROOT / "etc/ipython/ipython_kernel_config.py").read_text(), "run make setup"


# ---- live mode -----------------------------------------------------------------------------------------------
@pytest.fixture
def proxy():
    """Stands in for a proxy of the learner's, and for OpenAI behind it; `heard` has what it was asked, by whom."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append((self.path, self.headers["authorization"]))
            body = b'{"object": "list", "data": []}'
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    heard: list[tuple[str, str]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", heard
    server.shutdown()
    server.server_close()


LIVE = """
import helpers, openai, os
course = helpers.start(mode="live", show=False)
course.gateway.upstream._bases["openai"] = "http://openai.example"
openai.OpenAI().models.list()
print(os.environ["NO_PROXY"], os.environ.get("ALL_PROXY"), os.environ["HTTP_PROXY"])
"""


def test_live_mode_has_the_keys_and_the_network_of_the_shell(kernel, proxy):
    address, heard = proxy
    live = kernel(ALL_PROXY="", HTTP_PROXY=address, SSL_CERT_FILE="", NO_PROXY="models.corp.example,10.0.0.0/8")
    assert live.run(LIVE) == f"127.0.0.1,localhost,::1,models.corp.example,10.0.0.0/8  {address}\n"
    assert heard == [("http://openai.example/v1/models", "Bearer a-real-key")]


def test_a_key_that_a_cell_sets_before_start_is_the_one_that_is_used(kernel, proxy):
    address, heard = proxy
    live = kernel(ALL_PROXY="", HTTP_PROXY=address, SSL_CERT_FILE="")
    live.run('import os; os.environ["OPENAI_API_KEY"] = "of-a-cell"')
    live.run(LIVE)
    assert heard == [("http://openai.example/v1/models", "Bearer of-a-cell")]


def test_live_mode_names_what_cannot_be_used_and_stays_guarded(kernel):
    live = kernel()
    came = live.run('import helpers; helpers.start(mode="live")')
    assert came.startswith("CourseError: ALL_PROXY, SSL_CERT_FILE cannot be used")
    assert "proxy.example" not in came and "cacert" not in came
    assert live.run(ASK) == ANSWER


HEARD = """
hello = [{"role": "user", "content": "hi"}]
def ask(text):
    return openai.OpenAI(max_retries=0).chat.completions.create(model="gpt-6-luna", messages=hello, max_completion_tokens=50)
"""


def test_live_a_sentence_stands_above_the_traceback_and_the_card_says_which_keys_there_are(kernel):
    live = kernel(ALL_PROXY="", SSL_CERT_FILE="", AWS_SECRET_ACCESS_KEY="", ANTHROPIC_API_KEY="")
    card = live.run('import helpers, openai, anthropic; course = helpers.start(mode="live", show=False); course')
    assert "Keys: openai yes, anthropic no, gemini yes, bedrock no, azure " in card and "a-real-key" not in card
    live.run('course.gateway.upstream._bases["openai"] = "http://127.0.0.1:1"' + HEARD)
    heard = live.hear('ask("hi")')
    assert [kind for kind, _ in heard] == ["stream", "error"]
    assert "could not reach 127.0.0.1: ConnectError" in heard[0][1] and heard[1][1].startswith("APIConnectionError")
    heard = live.hear('anthropic.Anthropic().messages.create(model="claude-haiku-5-5", max_tokens=5, messages=hello)')
    assert [kind for kind, _ in heard] == ["stream", "error"] and "ANTHROPIC_API_KEY is missing" in heard[0][1]
    heard = live.hear('openai.OpenAI().chat.completions.create(model="gpt-6.1-sol", messages=hello * 99999)')
    assert [kind for kind, _ in heard] == ["stream", "error"] and "COURSE_BUDGET_USD" in heard[0][1], heard
    assert [kind for kind, _ in live.hear("1 / 0")] == ["error"], "errors of the learner's own are as they were"
    assert "could not reach" in live.run("print(course.log())")
