"""Mermaid's drawings on the site.

mermaid is kept here (MIT; @mermaid-js/tiny 11.17.2 of npm) and loaded as a plain script: a module, which other extensions load, is
not read where a page is opened as a file. `tiny` draws all that the chapters have.
"""

from html import escape

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

DRAW = "mermaid.initialize({startOnLoad: true, theme: 'neutral'});"


class drawing(nodes.General, nodes.Element):  # noqa: N801 (docutils writes them so)
    """A drawing in mermaid's words."""


class Mermaid(SphinxDirective):
    """```mermaid in a chapter."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        return [drawing(words="\n".join(self.content))]


def write(translator, node: drawing) -> None:
    translator.body.append(f'<pre class="mermaid">{escape(node["words"])}</pre>')
    raise nodes.SkipNode


def load_mermaid(app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document | None) -> None:
    """Only pages with a drawing load what draws it."""
    if doctree is not None and doctree.next_node(drawing):
        app.add_js_file("mermaid.tiny.js")
        app.add_js_file(None, body=DRAW)


def setup(app: Sphinx) -> None:
    app.add_node(drawing, html=(write, None))
    app.add_directive("mermaid", Mermaid)
    app.connect("html-page-context", load_mermaid)
