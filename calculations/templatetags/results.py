"""How pages write what calculations found; `{% load results %}`."""

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from calculations import wording
from calculations.matrix import Cell

register = template.Library()
register.filter("main_words", wording.main_words)

NOTHING = SafeString("")


@register.simple_tag
def sweep_run(cell: Cell, look: str, results_url: str) -> SafeString:
    """One run of the matrix; static/js/matrix.js writes the same. A page has a thousand of them."""
    return format_html(
        '<a class="run is-{state} heat-{heat}" href="{url}?run={number}" data-run="{number}"{value}'
        ' data-where="{where}" title="{title}" aria-label="{title}">'
        '<span class="cell is-{state}"></span>{head}<span class="run-words">{words}</span></a>',
        state=cell.state,
        heat=cell.heat,
        url=results_url,
        number=cell.number,
        value=NOTHING if cell.value is None else format_html(' data-value="{}"', cell.raw),
        where=cell.where,
        title=cell.title,
        head=format_html('<span class="run-where">{}</span>', cell.where)
        if look == "line"
        else NOTHING,
        words=cell.words or cell.state_words.lower(),
    )
