"""Template tags of the toolkit."""

from django import template

register = template.Library()
