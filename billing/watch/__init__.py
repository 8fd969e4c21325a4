"""The fraud watch: usage summed by hour, what is unusual in it, spend limits, and each warning once."""
