"""What a command refuses is JSON too, on the last line of stdout."""

import json

import pytest
from django.core.management import CommandError, call_command

from reports.registry import REPORTS
from resellerkpi.core.models import Reseller

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (["bill", "--reseller", "none", "--period", "2026-01"], "There is no reseller “none”."),
        (["bill", "--reseller", "alpha", "--period", "2026-13"], "“2026-13” is not a month; write it as 2026-10."),
        (["import_book", "dealers", "x.csv", "--reseller", "none"], "There is no reseller “none”."),
        (["import_tariff", "x.csv", "--reseller", "none", "--tariff", "T"], "There is no reseller “none”."),
        (["kpi", "mrr", "--reseller", "none", "--from", "2026-01", "--to", "2026-01"], "There is no reseller “none”."),
        (["report", "nothing", "--reseller", "alpha"],
         f"There is no report called “nothing”. Known: {', '.join(sorted(r.slug for r in REPORTS))}."),
    ],
)  # fmt: skip
def test_a_refusal_is_the_last_line(
    line: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Reseller.objects.create(code="alpha", name="Alpha")
    with pytest.raises(CommandError, match=r"^There is no|is not a month"):
        call_command(*line)
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"error": sentence}
