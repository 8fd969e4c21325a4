"""Addresses of the KPI pages."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
