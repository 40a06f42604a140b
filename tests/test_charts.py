"""Pictures, tables and sliders: what they say to who does not see them, and where numbers stand."""

import re
from decimal import Decimal

import pytest

from helpers import charts, page

WHITE, BLACK = "#ffffff", "#111111"  # the grounds of JupyterLab's themes


def light(colour: str) -> float:
    """Relative luminance, as WCAG 2 defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return sum(w * (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4) for w, p in zip((0.2126, 0.7152, 0.0722), parts, strict=True))


def contrast(one: str, other: str) -> float:
    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("ground", [WHITE, BLACK])
def test_colours_can_be_told_from_both_grounds(ground):
    assert contrast(charts.INK, ground) > 3.9
    assert all(contrast(colour, ground) > 3 for colour in charts.COLOURS)


def test_a_picture_carries_its_words_as_html_and_as_text():
    picture = charts.bars({"a": 1, "b": 2}, title="t", unit="u", alt='The bar of "b" is twice as long as that of <a>.')
    assert 'alt="The bar of &quot;b&quot; is twice as long as that of &lt;a&gt;."' in picture._repr_html_()
    assert repr(picture) == 'Picture: The bar of "b" is twice as long as that of <a>.'
    assert picture.png.startswith(b"\x89PNG")


def test_lines_are_told_apart_by_more_than_their_colour():
    assert len(set(charts.MARKERS)) == len(set(charts.PATTERNS)) == len(charts.COLOURS)


def test_the_parts_of_a_stacked_bar_stand_end_to_end(monkeypatch):
    figures = []
    monkeypatch.setattr(charts, "_picture", lambda figure, alt: figures.append(figure))
    charts.stacked_bars({"a": {"x": 3, "y": Decimal(2)}, "b": {"x": 0, "y": 4}}, title="t", unit="u", alt="-")
    drawn = [(bar.get_x(), bar.get_width()) for bar in figures[0].axes[0].patches]
    assert drawn == [(0, 3), (0, 0), (3, 2), (0, 4)]
    charts.stacked_bars({"a": dict.fromkeys("tuvwxyz", 1)}, title="t", unit="u", alt="-")
    assert len(figures[1].axes[0].patches) == 7, "no part is left out, however many there are"


def test_a_step_of_a_waterfall_begins_where_the_one_before_ends(monkeypatch):
    figures = []
    monkeypatch.setattr(charts, "_picture", lambda figure, alt: figures.append(figure))
    charts.waterfall({"a": 3, "b": Decimal(4), "c": -2}, title="t", unit="u", alt="-", total="all")
    axes = figures[0].axes[0]
    assert [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in axes.patches] == [(0, 3), (3, 7), (7, 5), (0, 5)]
    assert [text.get_text() for text in axes.texts] == ["+3", "+4", "-2", "5"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b", "c", "all"]


def test_every_value_of_a_group_is_a_point(monkeypatch):
    figures = []
    monkeypatch.setattr(charts, "_picture", lambda figure, alt: figures.append(figure))
    charts.points({"cold": [3.0, 1.0, 2.0], "warm": []}, title="t", unit="s", alt="-")
    cold, warm = figures[0].axes[0].lines
    assert list(cold.get_xdata()) == [3, 1, 2] and len(warm.get_xdata()) == 0
    assert figures[0].axes[0].collections[0].get_segments()[0][0][0] == 2, "a line at the median"


@pytest.fixture
def drawn(monkeypatch):
    """The axes of the pictures that a test draws."""
    axes = []
    monkeypatch.setattr(charts, "_picture", lambda figure, alt: axes.append(figure.axes[0]))
    return axes


def lines_of(**series):
    charts.lines(series, x=range(3), title="t", x_label="x", y_label="y", alt="-")


def test_a_line_that_another_one_covers_is_wider_than_it(drawn):
    lines_of(covered=[10, 5, 1], above=[10, 5.1, 1], apart=[1, 5, 10])
    covered, above, apart = drawn[0].lines
    assert covered.get_linewidth() > above.get_linewidth() == apart.get_linewidth()
    assert covered.get_markersize() > above.get_markersize()


def test_no_line_and_no_lane_is_left_out_or_drawn_like_its_neighbours(drawn):
    names = "abcdefg"
    lines_of(**{name: [place] * 3 for place, name in enumerate(names)})
    charts.timeline({name: [1, 2] for name in names}, title="t", alt="-")
    for axes in drawn:
        colours = [line.get_color() for line in axes.lines]
        assert len(colours) == len(names) and len(set(colours[:5])) == 5


def test_whole_numbers_at_bars_have_no_decimals(drawn):
    charts.bars({"a": 60, "b": 1.0, "c": 1200}, title="t", unit="u", alt="-")
    charts.bars({"a": 60, "b": 0.5}, title="t", unit="u", alt="-")
    assert [[text.get_text() for text in axes.texts] for axes in drawn] == [["60", "1", "1,200"], ["60.00", "0.50"]]


@pytest.mark.parametrize(
    ("draw", "axis"),
    [
        (lambda value: charts.bars({"a": value}, title="t", unit="u", alt="-", limit=10), "xlim"),
        (lambda value: charts.grouped_bars({"s": {"a": value}}, title="t", unit="u", alt="-", limit=10), "xlim"),
        (lambda value: charts.stacked_bars({"a": {"x": value}}, title="t", unit="u", alt="-", limit=10), "xlim"),
        (lambda value: charts.lines({"s": [value]}, x=[1], title="t", x_label="x", y_label="y", alt="-", limit=10), "ylim"),
    ],
)
def test_an_axis_with_a_limit_stays_where_it_is(draw, axis, monkeypatch):
    figures = []
    monkeypatch.setattr(charts, "_picture", lambda figure, alt: figures.append(figure))
    draw(1), draw(9)
    first, second = (getattr(figure.axes[0], f"get_{axis}")() for figure in figures)
    assert first == second and first[0] == 0 and first[1] >= 10


def test_columns_of_numbers_stand_to_the_right_in_every_table():
    html = page.table(("model", "in", "USD", "share", "day"), [("a", "1,234", "0.10 USD", "-", "2026-01-01"), ("b", "", "unknown", "4.5%", "7")])
    assert re.findall(r'<th scope="col" style="text-align:(\w+)">', html) == ["left", "right", "right", "right", "left"]


def test_long_names_in_a_table_may_go_on_in_the_next_line():
    html = page.table(("what",), [("AuthenticationError",), ("invalid_api_key",), ("us.anthropic.claude-haiku-5-5",), ("a <b>",), ("0.25",)])
    cells = re.findall("<td[^>]*>(.*?)</td>", html)
    assert cells == ["Authentication<wbr>Error", "invalid_<wbr>api_<wbr>key", "us.<wbr>anthropic.<wbr>claude-<wbr>haiku-<wbr>5-<wbr>5", "a &lt;b&gt;", "0.25"]


def test_numbers_have_the_digits_that_one_reads():
    written = {1234567: "1,234,567", 1234.5: "1,234", 303.21: "303", 99.96: "100", 64.04: "64.0", 4.2: "4.20", 0.01234: "0.0123", 0.0: "0.00", -2.5: "-2.50"}
    assert {value: charts._number(value) for value in written} == written
    assert [charts._number(Decimal(value)) for value in ("1234.5", "6", "0.0500", "0.00012345678")] == ["1,234.50", "6.00", "0.05", "0.000123"]


def test_prices_in_a_column_have_the_same_decimals():
    html = charts.table(("what", "USD"), [(name, Decimal(usd)) for name, usd in (("a", "0.0305"), ("b", "0.3"), ("c", "2"), ("d", "0"))]).data
    assert re.findall("<td[^>]*>([^<]*)</td>", html)[1::2] == ["0.0305", "0.3000", "2.0000", "0.0000"]
    html = charts.table(("USD",), [(Decimal("0.30"),), (Decimal("1234.5"),), ("unknown",)]).data
    assert re.findall("<td[^>]*>([^<]*)</td>", html) == ["0.30", "1,234.50", "unknown"]


@pytest.mark.parametrize("row", [("gpt-6-luna",), ("gpt-6-luna", 1, 2)], ids=["shorter", "longer"])
def test_a_row_that_does_not_fit_the_columns_is_named(row):
    with pytest.raises(ValueError, match=f"2 columns, and this row {len(row)} values: .'gpt-6-luna'"):
        charts.table(("model", "in"), [("gpt-6.1-terra", 5), row])


def test_a_cell_may_have_lines_and_one_between_backticks_is_code():
    html = page.table(("what",), [("`len(a < b)`\n→ 3",), ("no `code` here",)])
    assert re.findall("<td[^>]*>(.*?)</td>", html) == ["<code>len(a &lt; b)</code><br>→ 3", "no `code` here"]


def test_the_log_and_the_bill_have_their_numbers_to_the_right(gateway):
    from openai import OpenAI

    from helpers.costs import Bill

    OpenAI().chat.completions.create(model="gpt-6-luna", messages=[{"role": "user", "content": "Hi"}])
    for shown, numbers in ((gateway.meter.log(), {"#", "status", "in", "out"}), (Bill(gateway.meter.log()), {"answered", "input", "of which cached", "output", "live"})):
        assert set(re.findall(r'text-align:right">([^<]+)</th>', shown._repr_html_())) == numbers


def test_sliders_have_their_whole_names_and_what_they_draw_is_shown(capsys):
    drawn = charts.interact(temperature=(0.1, 2.0), top_p=(0.1, 1.0))(lambda temperature=1.0, top_p=0.5: f"drawn at {temperature} and {top_p}")
    controls = drawn.widget.children[:-1]
    assert [control.description for control in controls] == ["temperature", "top_p"]
    assert {control.style.description_width for control in controls} == {"initial"}
    assert "drawn at 1.0 and 0.5" in capsys.readouterr().out


def test_values_side_by_side_come_under_each_other_on_a_narrow_page():
    html = charts.side_by_side({"one": {"key": "value"}, "two": "text"}).data
    assert "flex-wrap:wrap" in html and "word-break:normal" in html


def test_marked_lines_are_bold_and_say_what_they_hold():
    long = "a very long <instruction> " * 5
    html = charts.side_by_side({"one": {"system": long, "max_tokens": 999, "other": 1}}, marks={"limit": {999}, "rule": {long}, "who": {"role"}}).data
    assert '<strong>  &quot;max_tokens&quot;: 999, ← limit</strong>' in html and html.count("← rule</strong>") == 1
    assert "← who" not in html and "&lt;instruction&gt;" in html
