"""The embedded Valkey: broker of the background jobs, and cache."""

import signal
import socket

from resellerkpi.local.binaries import valkey_program
from resellerkpi.local.places import Places, load_secrets, read_json, write_json
from resellerkpi.local.problems import LocalProblemError
from resellerkpi.local.processes import LOOPBACK, Child, free_port, last_lines, spawn, wait_until


class Valkey:
    """One Valkey server with a password; its queue is saved when it stops in order."""

    name = "valkey"

    def __init__(self, places: Places) -> None:
        """Prepare for the folders."""
        self.places = places
        self.state = places.var / "valkey.json"

    @property
    def port(self) -> int:
        """The port the server has or had last, 0 before the first start."""
        port = read_json(self.state).get("port")
        return port if isinstance(port, int) else 0

    @property
    def password(self) -> str:
        """The password of the server."""
        return load_secrets(self.places.var)["valkey_password"]

    def environment(self) -> dict[str, str]:
        """Return the address of the server."""
        return {"REDIS_URL": redis_url(self.password, self.port)}

    def running(self) -> bool:
        """Say whether our server (it knows our password) answers."""
        return self.port > 0 and "+PONG" in talk(self.port, self.password, "PING")

    def shut_down(self) -> None:
        """Ask a server whose launcher has gone to stop."""
        talk(self.port, self.password, "SHUTDOWN")

    def start(self) -> Child:
        """Start the server and wait until it answers."""
        program = valkey_program(self.places)
        folder = self.places.server_folder("valkey")
        for _ in range(3):
            port = free_port(self.port)
            write_json(self.state, {"port": port, "program": program})
            child = spawn(
                self.name,
                [program, "-"],
                log=self.places.log(self.name),
                environment={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
                folder=folder,
                account=self.places.account,
                stop_signal=signal.SIGTERM,
                text=configuration(port, self.password, str(folder)),
            )
            if wait_until(child, self.running, 20):
                return child
        raise LocalProblemError(f"Valkey did not start ({last_lines(child.log)}): see {child.log}.")


def redis_url(password: str, port: int) -> str:
    """Return the address of the first database of a server on the loopback address."""
    return f"redis://:{password}@{LOOPBACK}:{port}/0"


def configuration(port: int, password: str, folder: str) -> str:
    """Return the settings, given on standard input so that the password is on no command line."""
    lines = (
        f"bind {LOOPBACK}",
        f"port {port}",
        f"requirepass {password}",
        "daemonize no",
        "databases 4",
        "maxmemory 128mb",
        "maxmemory-policy volatile-lru",
        "appendonly no",
        "save 3600 1",
        f'dir "{folder}"',
    )
    return "\n".join(lines) + "\n"


def talk(port: int, password: str, command: str) -> str:
    """Send one command to a server and return its answers, empty when nothing answers."""
    try:
        with socket.create_connection((LOOPBACK, port), 1.0) as connection:
            connection.sendall(f"AUTH {password}\r\n{command}\r\nQUIT\r\n".encode())
            connection.settimeout(2.0)
            answer = b""
            while part := connection.recv(4096):
                answer += part
    except OSError:
        return ""
    return answer.decode(errors="replace")
