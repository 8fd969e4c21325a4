"""The checks, one file each; see docs/checks-howto.md."""
