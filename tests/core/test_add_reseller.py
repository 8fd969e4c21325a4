"""Opening a reseller by command."""

import json

import pytest
from django.core.management import call_command

from resellerkpi.core.models import Membership, Reseller

pytestmark = pytest.mark.django_db


def test_a_reseller_and_its_owner_are_added(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("add_reseller", "acme", name="Acme", email="Ana@acme.example", password="a long pass phrase")
    assert json.loads(capsys.readouterr().out) == {"reseller": "acme", "owner": "Ana@acme.example"}
    membership = Membership.objects.get()
    assert (membership.reseller.code, membership.user.email, membership.role) == (
        "acme",
        "ana@acme.example",
        "owner",
    )
    assert membership.user.check_password("a long pass phrase")


@pytest.mark.parametrize(
    ("code", "options", "sentence"),
    [
        ("there", {}, "already a reseller"),
        ("a b", {}, "letters, digits"),
        ("acme", {"currency": "XQQ"}, "not a currency"),
        ("acme", {"time_zone": "Mars/Base"}, "not a time zone"),
        ("acme", {"email": "x@y.example"}, "both"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(
    code: str, options: dict[str, str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Reseller.objects.create(code="there", name="There")
    with pytest.raises(SystemExit):
        call_command("add_reseller", code, name="Acme", **options)
    assert sentence in json.loads(capsys.readouterr().out)["error"]
    assert Reseller.objects.count() == 1
