"""The launcher: starts the demo's and the tests' own PostgreSQL and Valkey, with the standard library alone."""
