"""The browser of the tests in this folder."""

from tests.web.browser import chromium, server, visitor, watch

__all__ = ["chromium", "server", "visitor", "watch"]
