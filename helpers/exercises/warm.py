"""Imported once, before the processes of trial.py are forked from the one that has all this: it takes seconds otherwise, each time.

It starts no thread and opens no connection, since neither survives a fork.
"""

import anthropic  # noqa: F401
import IPython.core.interactiveshell  # noqa: F401
import matplotlib.pyplot  # noqa: F401
import openai

from helpers import costs
from helpers.exercises import trial  # noqa: F401
from helpers.gateway import server, tokens  # noqa: F401
from helpers.house_model import engine  # noqa: F401

openai.resources.chat.completions  # noqa: B018 - the SDK imports its parts when they are first named
anthropic.resources.messages  # noqa: B018
costs.price("gpt-6-luna")
tokens.count("the tokenizer is loaded")
