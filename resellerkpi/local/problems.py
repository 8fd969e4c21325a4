"""What the launcher says when it cannot go on."""


class LocalProblemError(Exception):
    """A reason to stop, worded as one sentence for the person at the keyboard."""


def need(condition: object, sentence: str) -> None:
    """Stop with the sentence unless the condition holds."""
    if not condition:
        raise LocalProblemError(sentence)
