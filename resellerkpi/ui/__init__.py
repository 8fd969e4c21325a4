"""The HTML toolkit: pages, tables, filters, forms, charts. Imports core only."""
