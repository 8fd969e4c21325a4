"""What a chart may draw: columns that are shown and can be summed."""

import pytest

from reports.charting import drawable
from reports.report import Preset
from resellerkpi.core.chartspec import Bar
from resellerkpi.core.columns import SUM, Int, Percent, Text

COLUMNS = (Text(name="dealer"), Int(name="paid", total=SUM), Percent(name="share", parts=("paid", "tried")))


@pytest.mark.parametrize(("y", "fits"), [("paid", True), ("share", False), ("absent", False)])
def test_a_chart_draws_what_can_be_summed(y: str, fits: bool) -> None:
    assert drawable(Preset("one", Bar(x="dealer", y=(y,))), COLUMNS) is fits


def test_a_chart_over_a_column_that_is_not_shown_is_not_offered() -> None:
    assert not drawable(Preset("one", Bar(x="by_month", y=("paid",))), COLUMNS)
