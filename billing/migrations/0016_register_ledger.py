"""The register's ledger: what each event of a leak moved, told of those there are; the document money came back on."""

from decimal import Decimal

import django.db.models.deletion
from django.db import migrations, models

import resellerkpi.core.fields

#: Events that find a leak (or find it again) open it with their amount, those that close or accept it leave nothing.
#: What a leak has grown by since its last event is an event of its own, so that events add up to what stands open.
#: What had come back of a leak that went on is no money that stands open of it, unless it was mended since.
TOLD = """
DO $body$
DECLARE
    outer_scope text := coalesce(current_setting('rk.resellers', true), '');
BEGIN
    PERFORM set_config('rk.resellers', (SELECT coalesce(array_agg(id), '{}')::text FROM core_reseller), true);
    UPDATE billing_finding f SET recovered_at_money = NULL
    WHERE f.family = 'leakage' AND f.recovered_at_money IS NOT NULL AND 'fixed' = (SELECT e.kind
        FROM billing_findingevent e WHERE e.reseller_id = f.reseller_id AND e.finding_id = f.id
        AND e.kind IN ('fixed', 'recovered') ORDER BY e.at DESC, e.id DESC LIMIT 1);
    UPDATE billing_finding f SET
        open_money = CASE WHEN f.state = 'open'
            THEN greatest(coalesce(f.money_to_date, 0) - coalesce(f.recovered_at_money, 0), 0) ELSE 0 END,
        open_since = coalesce((SELECT max((e.at AT TIME ZONE r.time_zone)::date) FROM billing_findingevent e
            WHERE e.reseller_id = f.reseller_id AND e.finding_id = f.id AND e.kind IN ('opened', 'reopened')),
            (f.first_seen AT TIME ZONE r.time_zone)::date)
    FROM core_reseller r WHERE r.id = f.reseller_id AND f.family = 'leakage';
    WITH steps AS (
        SELECT e.id, e.finding_id, e.at, (e.kind IN ('opened', 'reopened', 'lapsed'))::int AS opens,
            CASE WHEN e.kind IN ('opened', 'reopened', 'lapsed') THEN greatest(coalesce(e.amount, f.money_to_date, 0)
                - CASE WHEN count(*) FILTER (WHERE e.kind = 'recovered') OVER later = 0
                    THEN coalesce(f.recovered_at_money, 0) ELSE 0 END, 0) ELSE 0 END AS money,
            max((e.at AT TIME ZONE r.time_zone)::date) FILTER (WHERE e.kind IN ('opened', 'reopened'))
                OVER (PARTITION BY e.finding_id ORDER BY e.at, e.id) AS since
        FROM billing_findingevent e JOIN billing_finding f ON f.id = e.finding_id AND f.family = 'leakage'
        JOIN core_reseller r ON r.id = e.reseller_id
        WHERE e.kind IN ('opened', 'reopened', 'lapsed', 'fixed', 'accepted', 'recovered')
        WINDOW later AS (PARTITION BY e.finding_id ORDER BY e.at DESC, e.id DESC)
    ), moved AS (
        SELECT id, since, money - lag(money, 1, 0::numeric) OVER own AS money,
            opens - lag(opens, 1, 0) OVER own AS count
        FROM steps WINDOW own AS (PARTITION BY finding_id ORDER BY at, id)
    )
    UPDATE billing_findingevent e SET money_moved = m.money, count_moved = m.count, since = m.since
    FROM moved m WHERE m.id = e.id;
    INSERT INTO billing_findingevent
        (reseller_id, finding_id, at, kind, text, amount, money_moved, count_moved, since)
    SELECT f.reseller_id, f.id, f.last_seen, 'changed', '', f.money_to_date, f.open_money - coalesce(t.money, 0),
        0, f.open_since
    FROM billing_finding f LEFT JOIN (SELECT finding_id, sum(money_moved) AS money FROM billing_findingevent
        GROUP BY 1) t ON t.finding_id = f.id
    WHERE f.family = 'leakage' AND f.open_money <> coalesce(t.money, 0);
    PERFORM set_config('rk.resellers', outer_scope, true);
END $body$;
"""
#: Backwards, there are no events of changed money.
UNTOLD = """
DO $body$
DECLARE
    outer_scope text := coalesce(current_setting('rk.resellers', true), '');
BEGIN
    PERFORM set_config('rk.resellers', (SELECT coalesce(array_agg(id), '{}')::text FROM core_reseller), true);
    DELETE FROM billing_findingevent WHERE kind = 'changed';
    PERFORM set_config('rk.resellers', outer_scope, true);
END $body$;
"""


class Migration(migrations.Migration):
    """The columns, and what they hold of events there are."""

    dependencies = [
        ("billing", "0015_fraud_watch"),
    ]

    operations = [
        migrations.AddField(
            model_name="finding",
            name="open_money",
            field=models.DecimalField(decimal_places=2, default=Decimal("0"), max_digits=18),
        ),
        migrations.AddField(
            model_name="finding",
            name="open_since",
            field=models.DateField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="findingevent",
            name="count_moved",
            field=models.SmallIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="findingevent",
            name="credit_note",
            field=resellerkpi.core.fields.Link(
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="billing.creditnote",
            ),
        ),
        migrations.AddField(
            model_name="findingevent",
            name="invoice",
            field=resellerkpi.core.fields.Link(
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="billing.invoice",
            ),
        ),
        migrations.AddField(
            model_name="findingevent",
            name="money_moved",
            field=models.DecimalField(decimal_places=2, default=Decimal("0"), max_digits=18),
        ),
        migrations.AddField(
            model_name="findingevent",
            name="since",
            field=models.DateField(null=True),
        ),
        migrations.AlterField(
            model_name="findingevent",
            name="kind",
            field=models.CharField(
                choices=[
                    ("opened", "Found"),
                    ("reopened", "Found again"),
                    ("changed", "Money changed"),
                    ("lapsed", "Acceptance ended"),
                    ("fixed", "No longer found"),
                    ("accepted", "Accepted"),
                    ("recovered", "Recovered"),
                    ("owner", "Owner changed"),
                    ("note", "Note"),
                ],
                max_length=10,
            ),
        ),
        migrations.AddConstraint(
            model_name="finding",
            constraint=models.CheckConstraint(
                condition=models.Q(("state", "open"), ("open_money", 0), _connector="OR"),
                name="finding_open_money",
            ),
        ),
        migrations.RunSQL(TOLD, UNTOLD),
    ]
