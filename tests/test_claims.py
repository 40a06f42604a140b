"""etc/site/claims.toml: 118 claims, each with its place in the course or the reason why it has none. The site's link check follows the links."""

import json

import pytest

from helpers import claims

ALL = claims.claims()


def test_the_claims_are_numbered_from_1_to_118():
    assert [claim.number for claim in ALL] == list(range(1, 119))


@pytest.mark.parametrize("claim", ALL, ids=lambda claim: str(claim.number))
def test_a_claim_is_shown_by_a_cell_or_says_why_by_none(claim):
    assert claim.said and claim.holds and bool(claim.shown) != bool(claim.none)
    for shown in claim.shown:
        assert claims.find(shown).heading


def test_every_claim_has_a_row_of_the_page():
    rows = claims.page().splitlines()
    assert [int(row.split("|")[1]) for row in rows if row.startswith("| ") and "what is said" not in row] == [claim.number for claim in ALL]


@pytest.fixture
def course(tmp_path):
    """A course of one chapter, whose cells the test gives as pairs of source and output."""

    def write(*cells):
        (tmp_path / "notebooks").mkdir(exist_ok=True)
        made = [
            {"cell_type": "code", "source": source, "outputs": [{"data": {"text/html": [output]}}]} if output else {"cell_type": "markdown", "source": [source]}
            for source, output in cells
        ]
        (tmp_path / "notebooks/90_x.ipynb").write_text(json.dumps({"cells": made}))
        return tmp_path

    return write


def test_words_are_found_in_prose_in_code_and_in_outputs_under_the_nearest_heading(course):
    root = course(("# A\n\nFirst.\n\n## B, `c`\n\nSecond.\n\n## D\n\nThird.", ""), ("ask(1)", "<td>gpt-<wbr>6 &amp; more</td>"), ("```\n# no heading\n```\nLast.", ""))
    found = {words: claims.find(f"90: {words}", root) for words in ("First", "Second", "## B", "Third", "ask(1)", "gpt-6 & more", "Last")}
    assert {words: (place.cell, place.heading) for words, place in found.items()} == {
        "First": (1, "A"), "Second": (1, "B, `c`"), "## B": (1, "B, `c`"), "Third": (1, "D"),
        "ask(1)": (2, "D"), "gpt-6 & more": (2, "D"), "Last": (3, "D"),
    }
    assert found["Second"].anchor == "b-c"


def test_a_chapter_that_is_edited_is_still_found_and_one_that_lost_the_words_is_named(course):
    assert claims.find("90: The words", course(("# A", ""), ("# B", ""), ("New. The words.", ""))).cell == 3
    with pytest.raises(claims.NotShown, match="no cell of 90_x.ipynb holds 'The words'"):
        claims.find("90: The words", course(("# A", "")))
    with pytest.raises(claims.NotShown, match="no chapter and no exercise '91'"):
        claims.find("91: The words", course(("# A", "")))


def test_a_link_to_a_cell_becomes_one_to_its_section_and_a_cell_that_is_not_there_is_named(tmp_path):
    cells = [{"id": "a", "cell_type": "markdown", "source": ["# A\n", "\n", "## B, `c`\n"]}, {"id": "b", "cell_type": "code", "source": ["# no heading"]}]
    (tmp_path / "90_x.ipynb").write_text(json.dumps({"cells": cells}))
    assert claims.to_sections("*B* in [90](90_x.ipynb#cell-id=b), [90](90_x.ipynb)", tmp_path) == "*B* in [90](90_x.ipynb#b-c), [90](90_x.ipynb)"
    with pytest.raises(claims.NotShown, match="90_x.ipynb has no cell with the id 'z'"):
        claims.to_sections("[90](90_x.ipynb#cell-id=z)", tmp_path)
