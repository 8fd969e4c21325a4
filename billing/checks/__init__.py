"""Checks of the book, usage and money: one file each in `definitions`, merged into findings by `register`."""
