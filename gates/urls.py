"""Addresses of the pages of the gates."""

from django.urls import URLPattern

app_name = "gates"
urlpatterns: list[URLPattern] = []
