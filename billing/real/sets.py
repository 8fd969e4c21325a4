"""The real data sets that can be taken through, by name."""

from collections.abc import Callable
from typing import Any

from billing.real import ar_ibm, freepbx, megaline, pbxware_astpp, uk_wholesale
from billing.real.workbench import Workbench

SETS: dict[str, Callable[[Workbench], dict[str, Any]]] = {
    "uk-wholesale": uk_wholesale.run,
    "freepbx": freepbx.run,
    "pbxware-astpp": pbxware_astpp.run,
    "ar-ibm": ar_ibm.run,
    "megaline": megaline.run,
}
