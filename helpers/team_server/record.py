"""Writes recorded.json anew, with the proxy that `make proxy` built: `python -m helpers.team_server.record`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib.metadata import version

import openai

import helpers
from helpers.team_server.server import ASKED, RECORDED, Proxy

HELLO = [{"role": "user", "content": "Say hello in five words."}]


def ask(address: str, key: str, model: str) -> str:
    """The text of the answer, or status and type of the refusal."""
    client = openai.OpenAI(base_url=address, api_key=key, max_retries=0)
    try:
        return client.chat.completions.create(model=model, messages=HELLO, max_tokens=100).choices[0].message.content
    except openai.APIStatusError as error:
        return f"{error.status_code} {error.type}"


def main() -> None:
    """Offline: the answers are the gateway's, what the proxy lets through is its own."""
    helpers.start(mode="offline", show=False)
    with Proxy() as proxy:
        rows = [(key, model, ask(proxy.base_url, key, model)) for key, model in ASKED]
    kept = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "litellm": version("litellm"), "rows": rows}
    RECORDED.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
