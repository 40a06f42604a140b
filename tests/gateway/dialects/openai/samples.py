"""What several tests of this folder ask, and expect."""


HELLO = "Say hello in five words."
HELLO_THINKING = 48


def user(text):
    return [{"role": "user", "content": text}]


HELLO_ANSWER = "Hello, it's nice meeting you."
PIXEL = "data:image/png;base64,iVBORw0KGgo="
