"""How Sphinx makes the site of the chapters. `llm-course run --html` calls it; see helpers/site.py."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

project = "Working with LLM APIs"
html_title = project
language = "en"
extensions = ["myst_nb", "drawings"]
exclude_patterns = ["static"]
nb_execution_mode = "off"  # the chapters come executed
nb_merge_streams = True  # what one cell prints is one block
myst_fence_as_directive = ["mermaid"]
myst_heading_anchors = 3
myst_links_external_new_tab = True

html_theme = "sphinx_book_theme"
html_theme_options = {
    "show_toc_level": 2,
    "use_fullscreen_button": False,
    "navbar_persistent": [],  # a second field for the search
    "footer_content_items": [],
}
html_static_path = ["static"]
html_css_files = ["course.css"]
html_copy_source = False
html_use_index = False
