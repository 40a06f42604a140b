"""The life of a gateway: threads and forks beside it, its start and its end, and the end of the program around it."""

import multiprocessing
import os
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

import helpers
from helpers import course as course_module
from helpers import environment
from helpers.course import CourseError
from helpers.gateway.http import Connection
from helpers.gateway.server import Gateway

ROOT = Path(__file__).parents[2]
PATIENCE = 30  # seconds until a test gives up on what hangs
FORK = multiprocessing.get_context("fork") if hasattr(os, "fork") else None
forks = pytest.mark.skipif(FORK is None, reason="this system does not fork")
HELLO = [{"role": "user", "content": "Say hello in five words."}]


@pytest.fixture
def kernel(monkeypatch):
    """A process in which nothing was started yet, as a fresh kernel is."""
    monkeypatch.setattr(course_module, "_running", None)
    for name in environment.REMOVED:
        monkeypatch.delenv(name, raising=False)
    for name in environment.variables(""):
        monkeypatch.setenv(name, "from-the-shell")
    yield monkeypatch
    if course_module._running is not None:
        course_module._running.gateway.stop()


def in_a_fork(action):
    """What an action returns in a process forked from this one, or the words of its error."""
    ours, theirs = FORK.Pipe()

    def act():
        try:
            theirs.send(action())
        except Exception as error:
            theirs.send(f"{type(error).__name__}: {error}")

    child = FORK.Process(target=act)
    child.start()
    try:
        assert ours.poll(PATIENCE), "it hangs"
        return ours.recv()
    finally:
        child.terminate()
        child.join()


# ---- forks -------------------------------------------------------------------------------------------------
ORDERS = {
    "fault": lambda gateway: gateway.fault("rate_limited", "openai"),
    "clear_faults": lambda gateway: gateway.clear_faults(),
    "advance": lambda gateway: gateway.advance(hours=1),
    "limit": lambda gateway: gateway.limit("openai", requests=1),
    "reset": lambda gateway: gateway.reset(),
    "start": lambda gateway: gateway.start(),
}


@forks
@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_an_order_in_a_forked_process_says_where_to_give_it(gateway, order):
    said = in_a_fork(lambda: order(gateway))
    assert said.startswith("RuntimeError: ") and f"process {os.getpid()}" in said and "helpers.start()" in said


@forks
def test_a_call_in_a_forked_process_reaches_the_same_gateway(kernel):
    course = helpers.start(pace=0, show=False)
    assert in_a_fork(lambda: helpers.ask("openai", "Say hello in five words.").text).startswith("Hello")
    assert [entry.status for entry in course.log()] == [200]
    assert "process" in in_a_fork(course.log) and "process" in in_a_fork(lambda: course.bill)
    assert in_a_fork(course.gateway.stop) is None and len(course.log()) == 1


@forks
def test_a_forked_process_that_starts_the_course_has_a_gateway_of_its_own(kernel):
    course = helpers.start(pace=0, show=False)
    helpers.ask("openai", "Say hello in five words.")

    def begin_anew():
        own = helpers.start(pace=0, show=False)
        own.gateway.fault("server_error", "anthropic")
        said = helpers.ask("openai", "Say hello in five words.").text
        again = helpers.start(pace=0, show=False)
        return own.gateway.port, said, again is own, os.environ["OPENAI_BASE_URL"]

    port, said, same, address = in_a_fork(begin_anew)
    assert port != course.gateway.port and said.startswith("Hello") and same and address == f"http://127.0.0.1:{port}/openai/v1"
    assert len(course.log()) == 1 and helpers.ask("anthropic", "Say hello in five words.").text


@forks
def test_a_forked_process_does_not_start_a_second_live_budget(kernel):
    kernel.setenv("OPENAI_API_KEY", "no-key-of-anybody")
    helpers.start("live", show=False)
    assert in_a_fork(lambda: helpers.start("live", show=False)).startswith("CourseError: this process was forked")


@forks
def test_a_forked_process_holds_neither_the_port_nor_a_connection():
    gateway = Gateway(pace=0).start()
    client = socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE)
    client.sendall(b"GET /course/status HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert client.recv(100).startswith(b"HTTP/1.1 200")
    child = FORK.Process(target=threading.Event().wait)
    child.start()
    try:
        gateway.stop()
        with suppress(ConnectionResetError):
            while client.recv(65536):
                pass  # the end comes, though the child lives on
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE)
    finally:
        child.terminate()
        child.join()
        client.close()


# ---- threads -----------------------------------------------------------------------------------------------
def test_threads_that_start_the_course_at_once_share_one_gateway(kernel):
    barrier, courses = threading.Barrier(16), []

    def start():
        barrier.wait()
        courses.append(helpers.start(pace=0, show=False))

    before = serving()
    threads = [threading.Thread(target=start) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(courses) == 16 and len({id(course) for course in courses}) == 1 and serving() == before + 1


def serving():
    return sum(thread.name == "llm-gateway" for thread in threading.enumerate())


# ---- start and stop ----------------------------------------------------------------------------------------
def test_a_gateway_that_runs_is_not_started_again(gateway):
    with pytest.raises(RuntimeError, match=f"runs already, on port {gateway.port}"):
        gateway.start()
    assert helpers.ask("openai", "Say hello in five words.").text


def test_a_gateway_that_was_stopped_is_not_started_again():
    gateway = Gateway(pace=0).start()
    gateway.stop()
    gateway.stop()
    with pytest.raises(RuntimeError, match="make a new one"):
        gateway.start()
    with pytest.raises(RuntimeError, match="not running"):
        gateway.advance(seconds=1)


def test_a_gateway_whose_port_was_taken_can_be_started_on_another():
    gateway = Gateway(pace=0)
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError):
        gateway.start(taken.getsockname()[1])
    gateway.start()
    gateway.advance(seconds=1)
    gateway.stop()


def test_the_course_begins_anew_where_its_gateway_was_stopped(kernel):
    course = helpers.start(pace=0, show=False)
    course.gateway.stop()
    assert helpers.start(pace=0, show=False) is not course
    assert helpers.ask("openai", "Say hello in five words.").text


def test_a_live_course_whose_gateway_was_stopped_keeps_its_budget(kernel):
    kernel.setenv("OPENAI_API_KEY", "no-key-of-anybody")
    helpers.start("live", show=False).gateway.stop()
    with pytest.raises(CourseError, match="restart the kernel"):
        helpers.start("live", show=False)


# ---- the end of the program --------------------------------------------------------------------------------
def run(script):
    """The output of a script and what it wrote to stderr."""
    command = [sys.executable, "-c", "import helpers, openai, threading\n" + script]
    environ = {**os.environ, "COURSE_PACE": "0", "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=4 * PATIENCE)
    return ended.stdout, ended.stderr


ASK = 'openai.OpenAI().chat.completions.create(model="gpt-6-luna", messages=[{"role": "user", "content": PROMPT}], '
LEFT = f"""
PROMPT = "Explain tokens at length."
helpers.start(show=False)
stream = {ASK}stream=True, max_completion_tokens=300)
for number, chunk in enumerate(stream):
    if number > 3:
        break
"""
UNJOINED = f"""
PROMPT = "Explain tokens at length, and then again."
helpers.start(show=False)
def work():
    print("said", {ASK}max_completion_tokens=20).choices[0].message.content)
for _ in range(4):
    threading.Thread(target=work).start()
"""


def test_a_script_that_leaves_a_stream_and_ends_prints_nothing():
    assert run(LEFT) == ("", "")


def test_threads_that_outlive_the_main_one_get_their_answers():
    out, err = run(UNJOINED)
    assert out.count("said") == 4 and err == ""


# ---- what clients do ---------------------------------------------------------------------------------------
class Gone:
    """A transport whose client went away at the worst moment."""

    closing = False

    def is_closing(self):
        return self.closing

    def write(self, data):
        pass

    def write_eof(self):
        raise OSError(107, "Transport endpoint is not connected")

    def get_extra_info(self, name):
        return None

    def close(self):
        self.closing = True

    abort = pause_reading = resume_reading = close


def test_a_client_that_sends_more_than_its_request_and_goes_is_no_failure(gateway, caplog):
    def speak():
        connection = Connection(gateway._server)
        connection.connection_made(Gone())
        connection.data_received(b"no request\r\n\r\n")
        connection.connection_lost(None)

    gateway.in_loop(speak)
    assert not caplog.records

