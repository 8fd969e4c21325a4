"""The launcher of the demo's and the tests' own PostgreSQL and Valkey; standard library only."""
