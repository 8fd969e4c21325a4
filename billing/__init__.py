"""From a supplier's file to a paid invoice."""
