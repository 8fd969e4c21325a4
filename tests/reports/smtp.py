"""A real SMTP server on loopback: takes mails over a socket, and can refuse, hang up or be gone."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any


@dataclass
class Box:
    """What the server was given, and how it is to behave.

    `refuse` maps an address to the answer it gets; `hang_up_on` are verbs at which the server closes the line, "." is
    the end of the mail's text.
    """

    port: int = 0
    mails: list[tuple[str, EmailMessage]] = field(default_factory=list)
    refuse: dict[str, str] = field(default_factory=dict)
    hang_up_on: set[str] = field(default_factory=set)

    def to(self, address: str) -> list[EmailMessage]:
        """Return the mails an address got."""
        return [message for who, message in self.mails if who == address]


class _Session(socketserver.StreamRequestHandler):
    """One connection of a client (RFC 5321, as much as a client of the standard library says)."""

    @property
    def box(self) -> Box:
        """The server's box."""
        return self.server.box  # type: ignore[attr-defined, no-any-return]

    def say(self, line: str) -> None:
        """Answer one line."""
        self.wfile.write(f"{line}\r\n".encode())

    def handle(self) -> None:
        """Answer the client until it goes or is hung up on."""
        if "connect" in self.box.hang_up_on:
            return
        self.say("220 loopback ready")
        people: list[str] = []
        while line := self.rfile.readline():
            words = line.decode().strip()
            verb = words[:4].upper()
            if verb in self.box.hang_up_on:
                return
            if verb == "RCPT":
                address = words.partition("<")[2].partition(">")[0]
                refusal = self.box.refuse.get(address)
                people += [] if refusal else [address]
                self.say(refusal or "250 fine")
            elif verb == "DATA":
                self.say("354 go on")
                content = self.content()
                if "." in self.box.hang_up_on:
                    return
                self.box.mails += [(who, self.parsed(content)) for who in people]
                self.say("250 taken")
                people = []
            elif verb == "QUIT":
                self.say("221 goodbye")
                return
            else:
                self.say("250 fine")

    def content(self) -> bytes:
        """Read the mail's text up to the line with a dot, undoing the dots that were doubled."""
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line[1:] if line.startswith(b"..") else line)
        return b"".join(lines)

    def parsed(self, content: bytes) -> EmailMessage:
        """Read a mail as its reader's program does."""
        return message_from_bytes(content, policy=policy.default)  # type: ignore[return-value]


class _Server(socketserver.ThreadingTCPServer):
    """Serves each client in a thread."""

    allow_reuse_address = True
    daemon_threads = True


@contextmanager
def smtp_server(settings: Any) -> Iterator[Box]:
    """Serve mail on a free port of loopback and point the house at it."""
    with _Server(("127.0.0.1", 0), _Session) as server:
        box = Box(port=server.server_address[1])
        server.box = box  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", box.port
        settings.EMAIL_TIMEOUT = 5
        yield box
        server.shutdown()
