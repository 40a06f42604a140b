"""The answer to a prompt that nobody recorded: a notice that says so, and what to do next."""

from __future__ import annotations

from helpers.gateway.exchange import Draft, Provenance, Question

TEXT = (
    "This is a notice from the course's offline gateway, not a model's answer: no recording matches this prompt. "
    "{nearest}"
    "Ways on: run the cell as it stands in the chapter, look at course.log(), or restart the kernel and begin with "
    'helpers.start(mode="live") to ask the real provider.'
)


def notice(question: Question, nearest: str | None) -> Draft:
    """A scripted notice that names the nearest recorded prompt of the same provider."""
    named = f'The nearest recorded prompt is: "{nearest}". ' if nearest else "There is no recording for this provider. "
    return Draft((TEXT.format(nearest=named),), Provenance("notice", detail=question.model.id))
