"""What billing cannot know, metric by metric: the names under which it is entered or uploaded, and how it is split."""

from dataclasses import dataclass

from resellerkpi.core.registry import Registry


@dataclass(frozen=True)
class Metric:
    """An observed quantity: `words` say what to upload ("what marketing cost"), `by` how a row may be split."""

    slug: str
    name: str
    words: str
    by: tuple[str, ...] = ()
    is_money: bool = False

    @property
    def upload(self) -> str:
        """What a KPI without its data says."""
        return f"Needs data: upload {self.words}."


METRICS: Registry[Metric] = Registry("observed metric")


def metric(slug: str, name: str, words: str, *, by: tuple[str, ...] = (), is_money: bool = False) -> Metric:
    """Register an observed metric; its forms and CSV templates follow from it."""
    return METRICS.add(slug, Metric(slug, name, words, by, is_money))
