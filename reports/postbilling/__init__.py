"""The post-billing report of a run: what its bills come to against earlier runs, and what needs a look."""
