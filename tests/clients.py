"""Makes every client of the installed SDKs that can be made, after an offline start(), and says where each one went.

Run by test_offline.py in a process of its own: `python tests/clients.py sdks|boto3|litellm`. Prints one JSON object: `outcomes`,
what came of each client, and `reached`, every host that was looked up or connected to.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import helpers

HELLO = [{"role": "user", "content": "Say hello in five words."}]
# What the environment does not say, so that the client is made at all.
ARGUMENTS = {
    "AnthropicAWS": {"workspace_id": "w"},
    "AnthropicGoogleCloud": {"location": "us-east5", "project": "p", "workspace_id": "w"},
    "AnthropicVertex": {"region": "us-east5", "project_id": "p"},
}
reached: set[str] = set()


def watch(event: str, arguments: tuple) -> None:
    """Python reports here every look-up of a name and every connection of this process."""
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        reached.add(str(arguments[1][0]))
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        reached.add(str(arguments[0]))


def below(base: type) -> Iterator[type]:
    for child in base.__subclasses__():
        yield child
        yield from below(child)


def classes(package) -> dict[str, type]:
    """The classes of clients by name: those that the package shows, and those that it keeps in its rooms."""
    base = package._base_client.BaseClient
    shown = [value for name in dir(package) if inspect.isclass(value := getattr(package, name)) and issubclass(value, base)]
    found = {found.__name__: found for found in (*shown, *below(base))}
    hidden = ("SyncAPIClient", "AsyncAPIClient")
    return {name: value for name, value in found.items() if not name.startswith(("_", "Base")) and name not in hidden}


def outcome(act: Callable[[], object]) -> str:
    """What an answer says, or the error."""
    try:
        return f"answered: {act()}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def called(kind: type, ask: Callable) -> object:
    client = kind(max_retries=0, **ARGUMENTS.get(kind.__name__.removeprefix("Async"), {}))
    answer = ask(client)
    return asyncio.run(_awaited(answer)) if inspect.isawaitable(answer) else answer


async def _awaited(answer):
    return await answer


def ask_claude(client) -> object:
    """Bedrock has names of its own for models."""
    model = "us.anthropic.claude-haiku-5-5" if type(client).__name__.endswith("Bedrock") else "claude-haiku-5-5"
    return client.messages.create(model=model, max_tokens=50, messages=HELLO)


def sdks() -> dict[str, str]:
    import anthropic
    import openai
    from google import genai

    def gemini(**arguments) -> object:
        client = genai.Client(**arguments)
        return client.models.generate_content(model="gemini-3.5-flash-lite", contents="Say hello in five words.").text

    found = {f"openai.{name}": partial(called, kind, lambda c: c.chat.completions.create(model="gpt-6-luna", messages=HELLO)) for name, kind in classes(openai).items()}
    found |= {f"anthropic.{name}": partial(called, kind, ask_claude) for name, kind in classes(anthropic).items()}
    found |= {
        "openai module": lambda: openai.chat.completions.create(model="gpt-6-luna", messages=HELLO),
        "openai to its own address": lambda: openai.OpenAI(base_url="https://api.openai.com/v1", max_retries=0).models.list(),
        "genai.Client": gemini,
        "genai.Client for Vertex AI": lambda: gemini(vertexai=True, project="p", location="us-central1"),
        "genai.Client for Vertex AI with a key": lambda: gemini(vertexai=True, api_key="k"),
        "genai.Client for enterprises": lambda: gemini(enterprise=True, project="p", location="global"),
    }
    return {name: outcome(act) for name, act in found.items()}


def boto3_services() -> dict[str, str]:
    import boto3

    calls = {
        "bedrock": lambda client: client.list_foundation_models(),
        "ec2": lambda client: client.describe_instances(),
        "s3": lambda client: client.put_object(Bucket="some-bucket", Key="k", Body=b"x" * 100_000),
        "servicediscovery": lambda client: client.discover_instances(NamespaceName="n", ServiceName="s"),
        "sts": lambda client: client.get_caller_identity(),
    }
    session = boto3.Session()
    found = {}
    for name in session.get_available_services():
        client = session.client(name)
        found[name] = client.meta.endpoint_url
        if name in calls:
            found[f"call of {name}"] = outcome(lambda client=client, name=name: calls[name](client))
    return found


def litellm_providers() -> dict[str, str]:
    import litellm

    litellm.suppress_debug_info = True
    logging.disable(logging.CRITICAL)
    providers = sorted(getattr(provider, "value", provider) for provider in litellm.provider_list)

    def ask(provider: str) -> str:
        return outcome(lambda: litellm.completion(f"{provider}/x", messages=HELLO, api_key="k", num_retries=0, max_retries=0, timeout=5))

    async def ask_groq() -> object:
        return await litellm.acompletion("groq/x", messages=HELLO, api_key="k", num_retries=0, max_retries=0)

    with ThreadPoolExecutor(16) as pool:
        found = dict(zip(providers, pool.map(ask, providers), strict=True))
    return {**found, "groq, awaited": outcome(lambda: asyncio.run(ask_groq()))}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.addaudithook(watch)
    helpers.start(show=False)
    print(json.dumps({"outcomes": {"sdks": sdks, "boto3": boto3_services, "litellm": litellm_providers}[sys.argv[1]](), "reached": sorted(reached)}))
