"""What several tests of this folder ask, and expect."""


HELLO = "Say hello in five words."
HELLO_ANSWER = "Hello there, lovely meeting you."
LONG = "All work and no play makes this a dull notebook. " * 200
THINKS, PLAIN = "claude-haiku-5-5", "claude-haiku-4-5"
OLD, NEW = "2023-06-01", "2026-10-21"


def user(content):
    return [{"role": "user", "content": content}]


TOOL = {"name": "look", "input_schema": {"type": "object", "properties": {}}}


def ask(client, content=HELLO, *, model=THINKS, max_tokens=1000, **more):
    return client.messages.create(model=model, max_tokens=max_tokens, messages=user(content), **more)
