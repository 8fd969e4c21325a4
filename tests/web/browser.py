"""A real Chromium against a server of this process: sign in, look, and fail on anything the browser complains about."""

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.db import connections
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response, sync_playwright

from resellerkpi.core.models import User
from resellerkpi.local.chromium import find
from tests.world import PASSWORD

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE = 20_000


@dataclass
class Watch:
    """What a browser complained about: its console, scripts, requests that failed and answers that are errors.

    A test that wants an error answer names its address in `expected`.
    """

    problems: list[str] = field(default_factory=list)
    expected: set[str] = field(default_factory=set)

    def over(self, page: Page) -> None:
        """Watch a page and whatever it opens."""
        page.on("console", self.console)
        page.on("pageerror", lambda error: self.problems.append(f"script: {error}"))
        page.on("requestfailed", self.failed)
        page.on("response", self.answered)

    def console(self, message: ConsoleMessage) -> None:
        """Keep an error of the console; a page that is wanted to answer with an error logs one of its own."""
        at = message.location.get("url", "")
        if message.type == "error" and not any(part in at for part in self.expected):
            self.problems.append(f"console: {message.text} ({at})")

    def failed(self, request: Request) -> None:
        """Keep a request that got no answer; one that became a download or was left behind is no failure."""
        if request.failure != "net::ERR_ABORTED":
            self.problems.append(f"request: {request.failure} {request.url}")

    def answered(self, response: Response) -> None:
        """Keep an answer that is an error."""
        if response.status >= 400 and not any(part in response.url for part in self.expected):
            self.problems.append(f"answer: {response.status} {response.url}")


class QuietHandler(WSGIRequestHandler):
    """Serves without a line for each request."""

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


class Server(ThreadedWSGIServer):
    """A thread for each request that gives its database connections back."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), QuietHandler)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, then close what this thread opened."""
        try:
            super().process_request_thread(request, client_address)  # type: ignore[misc]
        finally:
            connections.close_all()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One Chromium for a module; $CHROMIUM names another than the system's."""
    path = find(os.environ)
    assert path, "There is no Chromium: run `python -m resellerkpi.local.chromium`."
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # Playwright's loop runs in the thread of the test
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()
    os.environ.pop("DJANGO_ALLOW_ASYNC_UNSAFE")
    if before is not None:
        os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = before


@pytest.fixture
def server(committed_db: None, settings: Any, tmp_path: Path) -> Iterator[str]:
    """The address of the house, served by threads of this process on committed data."""
    settings.STATIC_ROOT = tmp_path  # nothing is collected: files come from where they lie
    serving = Server()
    serving.set_app(StaticFilesHandler(WSGIHandler()))
    address = f"http://127.0.0.1:{serving.server_port}"
    settings.PUBLIC_URL = address
    thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield address
    serving.shutdown()
    serving.server_close()
    thread.join()


Visitor = Callable[..., Page]


@pytest.fixture
def watch() -> Iterator[Watch]:
    """What the browsers of the test complain about; there must be nothing at its end."""
    watching = Watch()
    yield watching
    assert not watching.problems, "\n".join(watching.problems)


@pytest.fixture
def visitor(chromium: Browser, server: str, watch: Watch) -> Iterator[Visitor]:
    """Open a browser of somebody's own: visitor(user) is signed in, visitor() is a stranger."""
    contexts = []

    def visit(user: User | None = None, *, width: int = 1280, height: int = 800) -> Page:
        context = chromium.new_context(
            base_url=server,
            viewport={"width": width, "height": height},
            locale="en-GB",
            timezone_id="Europe/London",
            color_scheme="light",
        )
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        watch.over(page)
        if user is not None:
            sign_in(page, user)
        return page

    yield visit
    for context in contexts:
        context.close()


def sign_in(page: Page, user: User) -> None:
    """Go through the door as a person does."""
    page.goto("/login/")
    page.get_by_label("E-mail address").fill(user.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/login/" not in url)
