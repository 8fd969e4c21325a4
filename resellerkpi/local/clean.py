"""`clean`: all run-time data away, the servers' folder outside var too."""

import shutil

from resellerkpi.local.places import Places, find_places
from resellerkpi.local.postgres import Postgres
from resellerkpi.local.problems import need
from resellerkpi.local.run import say
from resellerkpi.local.valkey import Valkey


def clean() -> int:
    """Remove the var folder and what lies in its stead elsewhere, unless its servers run."""
    places = find_places()
    for record in sorted(places.var.glob("*/secrets.json")):  # the tests' and the real runs' own folders
        _remove(find_places({"RESELLERKPI_VAR": str(record.parent)}))
    _remove(places)
    say(f"Removed {places.var}")
    return 0


def _remove(places: Places) -> None:
    running = Postgres(places).running() or Valkey(places).running()
    need(not running, f"Servers run on {places.var}: stop the command that uses them first.")
    if places.base != places.var:
        shutil.rmtree(places.base, ignore_errors=True)
    shutil.rmtree(places.var, ignore_errors=True)
