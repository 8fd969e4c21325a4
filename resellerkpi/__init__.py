"""ResellerKPI: open billing intelligence for telecom resellers."""

__version__ = "0.1.0"
