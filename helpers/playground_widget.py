"""The playground: one prompt for several models, their answers side by side as they come, and the code of each call.

Each call is made by running the very code that is shown (playground_code.py). All controls are ipywidgets with labels, so that they
work by keyboard and by mouse; below them stands a table with the same in words, which is also what an exported notebook shows.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from html import escape
from threading import Lock, Thread
from typing import Any

from IPython.display import HTML

from helpers import calls, models, page, playground_code
from helpers.gateway.exchange import Usage
from helpers.models import Model
from helpers.playground_code import Wish

COLUMNS = ("model", "answer", "in", "out", "of these, thoughts", "cost", "first word, s", "all, s")
TEMPERATURES = (("as the provider has it", ""), ("0", 0.0), ("0.3", 0.3), ("0.7", 0.7), ("1", 1.0))
MOST = 4000  # tokens, for an answer that is read on a screen
SHOWN = 400  # characters of a prompt that the words repeat
REDRAWN = 0.05  # seconds between two pictures of a growing answer
WIDE = "min(40em, 100%)"
METHOD = re.compile(r"client(\.\w+)+(?=\()")


@dataclass(frozen=True)
class Answer:
    """What a model said, or in `error` why it said nothing. Times are in seconds, `cost` is in USD; None where it is not known."""

    model: str
    text: str = ""
    error: str = ""
    usage: Usage | None = None
    cost: Decimal | None = None
    first_token_seconds: float | None = None
    seconds: float = 0.0


class Answers(list[Answer]):
    """Answers that show themselves as a table."""

    def _rows(self) -> list[tuple[str, ...]]:
        return [_row(answer) for answer in self]

    def __repr__(self) -> str:
        return "\n".join(" | ".join(row) for row in (COLUMNS, *self._rows()))

    def _repr_html_(self) -> str:
        return page.table(COLUMNS, self._rows())


def _row(answer: Answer) -> tuple[str, ...]:
    from helpers.costs import dollars

    used = answer.usage
    counts = (f"{used.input_tokens:,}", f"{used.output_tokens:,}", f"{used.thinking_tokens:,}") if used else ("-", "-", "-")
    cost = dollars(answer.cost) if answer.cost is not None else "-"
    first = "-" if answer.first_token_seconds is None else f"{answer.first_token_seconds:.2f}"
    return (answer.model, _said(answer), *counts, cost, first, f"{answer.seconds:.2f}")


def _said(answer: Answer) -> str:
    """The text, as far as it came, and what went wrong."""
    return "\n".join(part for part in (answer.text, answer.error) if part) or "no text"


class Call:
    """One call by its code. What imports its SDK and makes its client runs at once, so that it counts in no measured time."""

    def __init__(self, model: Model, source: str) -> None:
        begin, client, rest = source.partition("\nclient = ")
        line, _, self._call = rest.partition("\n")
        self.name, self._model, self._space = _name(model), model, dict[str, Any]()
        exec(begin + client + line, self._space)
        eval(METHOD.search(self._call)[0], self._space)  # SDKs import a part of themselves when it is first named

    def answer(self, show: Callable[[str], None]) -> Answer:
        """Run it, hand on the text as it grows, and measure. What the SDK raises becomes the answer's `error`."""
        name, began, text, first = self.name, time.perf_counter(), "", None

        def printed(piece: str, **_: Any) -> None:
            nonlocal text, first
            if piece and first is None:
                first = time.perf_counter() - began
            text += piece
            show(text)

        space = {**self._space, "print": printed}
        try:
            exec(compile(self._call, f"<{name}>", "exec"), space)
        except Exception as error:  # a refusal is an answer too
            return Answer(name, text, _words_of(error), None, None, first, time.perf_counter() - began)
        seconds, used = time.perf_counter() - began, space.get("usage")
        usage = calls.usage_of(self._model.provider, used) if used else None
        return Answer(name, text, "", usage, calls.cost_of(usage, self._model.id, self._model.provider), first, seconds)


def _words_of(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:300]}"


def _name(model: Model) -> str:
    return f"{model.provider}/{model.id}"


class Playground:
    """Shows itself as widgets. `ask()` does what the button does, `code(name)` is the code of one call, `words` all of it as text."""

    def __init__(self, prompt: str, system: str, chosen: Sequence[str], offered: Sequence[Model]) -> None:
        import ipywidgets as w

        self._offered = {_name(model): model for model in offered}
        self._lock = Lock()
        self._asked: object = None  # as `_drawn` was when what is being asked was said
        wide = {"layout": w.Layout(width=WIDE), "style": {"description_width": "initial"}, "continuous_update": False}
        narrow = {"layout": w.Layout(width="min(20em, 100%)"), "style": {"description_width": "initial"}}
        self.system = w.Textarea(system, description="system prompt", rows=2, **wide)
        self.prompt = w.Textarea(prompt, description="prompt", rows=3, **wide)
        self.max_tokens = w.BoundedIntText(1000, 1, MOST, description="limit, in tokens", **narrow)
        self.effort = w.Dropdown(options=self._efforts(), value="", description="effort", **narrow)
        self.temperature = w.Dropdown(options=TEMPERATURES, value="", description="temperature", **narrow)
        self.stop = w.Text("", description="stop at", continuous_update=False, **narrow)
        self.models = {name: w.Checkbox(name in chosen, description=name, indent=False, layout=w.Layout(width="min(26em, 100%)")) for name in self._offered}
        self.button = w.Button(description="Ask")
        self._status = w.HTML()
        self._shown = {name: w.HTML(layout=w.Layout(flex="1 1 16em", margin="0 1em 1em 0")) for name in self._offered}
        self._sources = {name: w.Textarea(description=name, layout=w.Layout(width="min(60em, 98%)"), style={"description_width": "initial"}) for name in self._offered}
        self._columns = w.Box(layout=w.Layout(flex_flow="row wrap", width="100%"))
        self._codes = w.Box(layout=w.Layout(flex_flow="column", width="100%"))
        self._words = w.HTML(layout=w.Layout(width="100%"))
        row = w.Layout(flex_flow="row wrap", width="100%")
        parameters, checks = w.Box([self.max_tokens, self.effort, self.temperature, self.stop], layout=row), w.Box([*self.models.values()], layout=row)
        head = [w.HTML("<strong>Ask these models</strong>"), checks, self.system, self.prompt, parameters]
        self.widget = w.VBox([*head, self.button, self._status, self._columns, w.HTML("<strong>The same in words</strong>"), self._words, w.HTML("<strong>The code of each call</strong>"), self._codes])
        self._draw()
        for control in (self.system, self.prompt, self.max_tokens, self.effort, self.temperature, self.stop):
            control.observe(lambda _: self._draw(), "value")
        for box in self.models.values():
            box.observe(lambda _: self._choose(), "value")
        self.button.on_click(lambda _: self._press())

    def _efforts(self) -> list[tuple[str, str]]:
        words = dict.fromkeys(word for model in self._offered.values() for word in playground_code.efforts(model))
        order = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
        return [("as the model has it", ""), *((word, word) for word in sorted(words, key=order.index))]

    @property
    def wish(self) -> Wish:
        """What the controls say."""
        temperature = None if self.temperature.value == "" else self.temperature.value
        return Wish(self.prompt.value, self.system.value, self.max_tokens.value, self.effort.value, temperature, self.stop.value)

    @property
    def chosen(self) -> list[str]:
        """The models with a tick, as provider/id."""
        return [name for name, box in self.models.items() if box.value]

    def code(self, name: str) -> str:
        """The code that makes the call to a model, named by id or provider/id. Raises UnknownModel."""
        return playground_code.code(playground_code.known(name), self.wish)

    @property
    def answers(self) -> Answers:
        """What the chosen models have answered to what the controls say."""
        return Answers(self._found[name] for name in self.chosen if name in self._found)

    def ask(self) -> Answers:
        """Ask the chosen models at once, show their answers as they come, and return them."""
        self._asked = drawn = self._drawn
        try:
            return self._ask(drawn)
        finally:
            if self._asked is drawn:
                self._asked = None

    def _press(self) -> None:
        """Ask beside the kernel, so that the controls go on working. What is being asked already is not asked twice."""
        if self._asked is not self._drawn:
            self._asked = self._drawn
            Thread(target=self.ask, daemon=True).start()

    def _ask(self, drawn: object) -> Answers:
        names, wish = self.chosen, self.wish
        if not names or not wish.prompt.strip():
            self._say("Write a prompt first." if names else "Choose a model first.")
            return Answers()
        self._say(f"Asking {', '.join(names)} ...")
        for name in names:
            self._show(name, "...")
        found: dict[str, Answer] = {}
        threads = [Thread(target=self._answer, args=(call, drawn, found), daemon=True) for call in self._calls(names, wish, found)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        answers = Answers(found[name] for name in names)
        if self._drawn is drawn:
            self._found = found
            for answer in answers:
                self._show(answer.model, _said(answer), _line(answer))
            self._say(f"{sum(not answer.error for answer in answers)} of {len(names)} have answered.")
            self._show_words()
        elif self._asked is drawn:
            self._say("The controls have changed, and the answers to what they said before are left out.")
        return answers

    def _calls(self, names: Sequence[str], wish: Wish, found: dict[str, Answer]) -> list[Call]:
        """The calls, ready to be made. Where a client cannot be made, such as without a key, that is the answer."""
        calls = []
        for name in names:
            try:
                calls.append(Call(self._offered[name], playground_code.code(self._offered[name], wish)))
            except Exception as error:
                found[name] = Answer(name, error=_words_of(error))
        return calls

    def _answer(self, call: Call, drawn: object, found: dict[str, Answer]) -> None:
        """Make a call and show its text as it grows, not more often than an eye follows, while the controls say what was asked."""
        last = 0.0

        def show(text: str) -> None:
            nonlocal last
            if time.perf_counter() - last > REDRAWN and self._drawn is drawn:
                last = time.perf_counter()
                self._show(call.name, text)

        found[call.name] = call.answer(show)

    def _show(self, name: str, text: str, below: str = "") -> None:
        with self._lock:
            self._shown[name].value = _column(name, playground_code.taken(self._offered[name]), text, below, self._without(name))

    def _without(self, name: str) -> dict[str, str]:
        return playground_code.fitted(self._offered[name], self.wish)[1]

    def _say(self, text: str) -> None:
        self._status.value = f'<span role="status">{escape(text)}</span>'

    def _draw(self) -> None:
        """What the controls say now: other codes, and no answers yet."""
        self._drawn = object()  # answers to what the controls said before this are not shown
        self._found: dict[str, Answer] = {}
        for name, model in self._offered.items():
            self._show(name, "")
            source = playground_code.code(model, self.wish)
            self._sources[name].value, self._sources[name].rows = source, source.count("\n") + 3
        self._say("")
        self._choose()

    def _choose(self) -> None:
        """The columns and the codes of the models with a tick."""
        self._columns.children = tuple(self._shown[name] for name in self.chosen)
        self._codes.children = tuple(self._sources[name] for name in self.chosen)
        self._show_words()

    @property
    def words(self) -> HTML:
        """What the playground shows, as tables."""
        wish = self.wish
        settings = [("system prompt", _short(wish.system)), ("prompt", _short(wish.prompt)), ("limit, in tokens", str(wish.max_tokens))]
        settings += [("effort", wish.effort or "as the model has it"), ("temperature", "as the provider has it" if wish.temperature is None else f"{wish.temperature:g}")]
        settings += [("stop at", wish.stop or "-"), ("models", "\n".join(f"{name} takes {playground_code.taken(self._offered[name])}" for name in self.chosen) or "none")]
        left = [(name, what, why) for name in self.chosen for what, why in self._without(name).items()]
        parts = [page.table(("control", "says"), settings), page.table(("model", "is not sent", "since"), left) if left else ""]
        return HTML("".join(parts) + (self.answers._repr_html_() if self.answers else "<p>Nothing is asked yet: press Ask.</p>"))

    def _show_words(self) -> None:
        self._words.value = f'<div class="jp-RenderedHTMLCommon">{self.words.data}</div>'

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        """The widgets; where there are none, such as in an exported page, the words."""
        return {**self.widget._repr_mimebundle_(), "text/html": self.words.data, "text/plain": "Playground: " + ", ".join(self.chosen)}


def _short(text: str) -> str:
    return f"{text[:SHOWN]} ... ({len(text):,} characters)" if len(text) > SHOWN else text or "-"


def _column(name: str, taken: str, text: str, below: str, without: dict[str, str]) -> str:
    """An answer as HTML, with what was not sent."""
    left = "".join(f"<br><em>not sent: {escape(what)} ({escape(why)})</em>" for what, why in without.items())
    words = f'<div style="white-space:pre-wrap;overflow-wrap:anywhere;line-height:1.4">{escape(text)}</div>' if text else ""
    return f'<div style="line-height:1.4"><strong>{escape(name)}</strong><br>takes {escape(taken)}{left}{words}<div>{escape(below)}</div></div>'


def _line(answer: Answer) -> str:
    _, _, given, made, thoughts, cost, first, whole = _row(answer)
    if answer.error:
        return f"failed after {whole} s"
    return f"{given} tokens in, {made} out ({thoughts} of them thoughts), {cost}, first word after {first} s, all after {whole} s"


def playground(prompt: str = "Explain in one sentence what an API is.", *, system: str = "", models: Sequence[str] | None = None) -> Playground:
    """A place to try prompts: several models side by side, with tokens, cost, time, and the code of each call.

    models: those with a tick at first, by id or provider/id; the small ones of three makers unless given. It is shown where it is a
    cell's last line. Raises UnknownModel.
    """
    return Playground(prompt, system, *_models(models))


def _models(given: Sequence[str] | None) -> tuple[list[str], list[Model]]:
    """The names of those that are chosen, and all that are offered: each provider's small and mid one, and those chosen."""
    row = models.table()["default"]
    chosen = [playground_code.known(name) for name in given or [row[provider]["small"] for provider in ("openai", "anthropic", "gemini")]]
    usual = [models.get(id, provider) for provider, tiers in row.items() for id in dict.fromkeys(tiers.values())]
    offered = {_name(model): model for model in [*usual, models.get("house", "compatible"), *chosen]}
    return [_name(model) for model in chosen], list(offered.values())
