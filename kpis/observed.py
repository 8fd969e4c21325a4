"""The observed metrics, which the import below declares too: see `billing.observed`."""

from billing.observed import METRICS, Metric, metric

__all__ = ["METRICS", "Metric", "metric"]
