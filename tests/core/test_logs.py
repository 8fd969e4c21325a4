"""Tokens and keys stay out of the logs."""

import pytest

from resellerkpi.core.logs import without_secrets


@pytest.mark.parametrize(
    ("said", "logged"),
    [
        ("GET /view?id=secret&as=csv", "GET /view"),
        ("GET /backend/kpi/customers/summary/?key=secret", "GET /backend/kpi/customers/summary/"),
        ("GET /reports/invoices/?period=last_month", "GET /reports/invoices/?period=last_month"),
    ],
)
def test_the_query_of_a_secret_address_is_not_logged(said: str, logged: str) -> None:
    assert without_secrets(None, "info", {"request": said, "code": 404}) == {"request": logged, "code": 404}
