"""Rate decks: read by declared fields, checked for what suppliers get wrong, compared with the tariff, loaded."""
