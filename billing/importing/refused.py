"""The refusal of a whole file."""


class FileRefused(ValueError):
    """Raised for a file that is not loaded at all; the sentence is for the user, nothing of the file is kept."""
