"""What several tests of this folder ask, and expect."""


MODEL, OLDER = "gemini-3.8-flash", "gemini-2.5-flash"
PROMPT, ANSWER, THOUGHTS = "Say hello in five words.", "Hello, wonderful to meet you.", 90


def contents(text=PROMPT):
    return [{"role": "user", "parts": [{"text": text}]}]


LONG = "word " * 5000


def finish(reply):
    return reply.candidates[0].finish_reason.name
