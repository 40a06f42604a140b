"""A client that speaks HTTP/2 frame by frame, so that it can misbehave."""

import json
import socket
import time
from contextlib import suppress

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, ResponseReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError

ASK = {"model": "gpt-6-luna", "messages": [{"role": "user", "content": "Say hello in five words."}]}
CHAT = "/openai/v1/chat/completions"
FIXED = [(":scheme", "http"), ("authorization", "Bearer x"), ("content-type", "application/json")]


class Answer:
    """What has come of an answer so far."""

    def __init__(self):
        self.status, self.headers, self.body = None, {}, b""
        self.ended, self.reset = False, None  # reset: the error, where the stream was broken off

    @property
    def is_over(self):
        return self.ended or self.reset is not None


class Client:
    """A connection with prior knowledge. `window`: what the gateway may send on a stream before it is allowed more; `acks`: whether it ever is."""

    def __init__(self, port, window=65_535, acks=True):
        self.h2 = H2Connection(H2Configuration(header_encoding="latin-1", validate_outbound_headers=False))
        self.port, self.acks = port, acks
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.answers, self.goodbye, self.closed = {}, None, False
        self.h2.initiate_connection()
        if window != 65_535:
            self.h2.update_settings({4: window})
        self.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def flush(self):
        with suppress(ConnectionError):  # where the gateway has hung up, reading will tell
            self.socket.sendall(self.h2.data_to_send())

    def ask(self, path=CHAT, body=ASK, method="POST", more=(), ends=True):
        """Send a request; its stream."""
        number = self.h2.get_next_available_stream_id()
        lines = [(":method", method), (":path", path), *FIXED, *more]
        if not any(name == "host" for name, _ in more):
            lines.insert(0, (":authority", f"127.0.0.1:{self.port}"))
        answer = self.answers[number] = Answer()
        sent = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        self.h2.send_headers(number, sorted(lines, key=lambda line: not line[0].startswith(":")), end_stream=ends and not sent)
        while sent and not answer.is_over:
            room = min(self.h2.local_flow_control_window(number), self.h2.max_outbound_frame_size)
            if not room:
                self.hear(lambda: answer.is_over or self.h2.local_flow_control_window(number))
                continue
            self.h2.send_data(number, sent[:room], end_stream=ends and len(sent) <= room)
            sent = sent[room:]
            self.flush()
        self.flush()
        return number

    def answer(self, number, seconds=5):
        """The answer of a stream, once it is over."""
        self.hear(lambda: self.answers[number].is_over, seconds)
        return self.answers[number]

    def get(self, path=CHAT, body=ASK, **more):
        return self.answer(self.ask(path, body, **more))

    def hear(self, until, seconds=5):
        """Read until something is true, or the connection ends. Raises TimeoutError."""
        ends = time.monotonic() + seconds
        while not until() and not self.closed:
            self.socket.settimeout(max(0.001, ends - time.monotonic()))
            self.read()

    def read(self):
        data = b""
        with suppress(ConnectionError):
            data = self.socket.recv(100_000)
        self.closed = not data
        for event in self._events(data) if data else ():
            answer = self.answers.get(getattr(event, "stream_id", None))
            if isinstance(event, ResponseReceived):
                answer.headers = dict(event.headers)
                answer.status = int(answer.headers[":status"])
            elif isinstance(event, DataReceived):
                answer.body += event.data
                if self.acks:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, StreamEnded):
                answer.ended = True
            elif isinstance(event, StreamReset):
                answer.reset = event.error_code
            elif isinstance(event, ConnectionTerminated):
                self.goodbye = event
        self.flush()

    def _events(self, data):
        try:
            return self.h2.receive_data(data)
        except ProtocolError:  # about what was sent past it
            return ()

    def send_until_closed(self, frames, most=1_000_000):
        """Send the same frames over and over until the gateway has had enough; how many times that was."""
        for count in range(most):
            try:
                self.socket.sendall(frames(count) if callable(frames) else frames)
            except ConnectionError:
                return count
            if count % 50 == 0:
                self.socket.settimeout(0.0001)
                with suppress(TimeoutError, BlockingIOError):
                    self.read()
                self.socket.settimeout(5)
                if self.goodbye or self.closed:
                    return count
        return most
