"""How pages write what calculations found; `{% load results %}`."""

from django import template

from calculations import wording

register = template.Library()
register.filter("main_words", wording.main_words)
