"""Facts of money and usage at given days, as SQL: bills, lines, debt, cash, balances, calls.

The texts use `days`, `account`, {a.date} and {mine a.customer_id} as those of `facts_book`; {bill a.invoice_id} and
{receipt a.payment_id} narrow to the invoices and the payments of changed customers.
"""

from kpis.facts_rows import entries, keys

_MONEY_HEAD = """
WITH stand AS (
    SELECT d.*, row_number() OVER (ORDER BY day) AS place FROM days d
), invoice AS (
    SELECT id, customer_id, currency, invoice_date, due_date, net, gross, is_disputed, {invoice_date} AS month
    FROM billing_invoice i WHERE reseller_id = %(reseller)s AND state <> 'draft' {mine i.customer_id}
), note AS (
    SELECT d.month, d.day, n.id, n.customer_id, n.currency, n.invoice_id, n.net, n.gross
    FROM days d
    JOIN billing_creditnote n ON n.reseller_id = %(reseller)s AND {n.date} = d.month AND n.date <= d.day
        {mine n.customer_id}
), gone AS (
    SELECT d.day, i.id FROM days d JOIN invoice i ON i.month = d.month AND i.invoice_date <= d.day
    JOIN note n ON n.day = d.day AND n.invoice_id = i.id
    WHERE i.gross > 0 GROUP BY d.day, i.id, i.gross HAVING sum(n.gross) >= i.gross
), credit AS (
    SELECT n.month, n.day, n.customer_id, n.currency, coalesce(k.net, n.net) AS net
    FROM note n LEFT JOIN billing_creditnoteline k ON k.reseller_id = %(reseller)s AND k.credit_note_id = n.id
    LEFT JOIN billing_invoiceline l ON l.reseller_id = %(reseller)s AND l.id = k.invoice_line_id
    WHERE l.kind IS NULL OR l.kind IN ('recurring', 'usage', 'carrier', 'credit')
), share AS (
    SELECT i.customer_id, i.currency, a.invoice_id, a.amount, a.credit_note_id,
        greatest(a.date, i.invoice_date) AS date,
        greatest(a.ended_date, CASE WHEN a.ended_date IS NOT NULL THEN i.invoice_date END) AS ended_date, a.date AS own
    FROM billing_allocation a JOIN invoice i ON i.id = a.invoice_id
    WHERE a.reseller_id = %(reseller)s {bill a.invoice_id}
), owed AS MATERIALIZED (
    SELECT i.*, CASE WHEN coalesce(a.settled, 0) = i.gross AND a.ended = 0 THEN a.last_date END AS settled_on
    FROM invoice i LEFT JOIN (
        SELECT invoice_id, sum(amount) AS settled, max(own) AS last_date, count(ended_date) AS ended
        FROM share GROUP BY invoice_id
    ) a ON a.invoice_id = i.id
), balance AS (
    SELECT d.month, d.day, o.id, o.customer_id, o.currency, o.is_disputed,
        d.day - CASE WHEN %(ageing_basis)s = 'invoice_date' THEN o.invoice_date ELSE o.due_date END AS late,
        o.gross - coalesce(sum(a.amount), 0) AS amount
    FROM (
        SELECT o.*, generate_series({before o.invoice_date} + 1,
            coalesce({before o.settled_on}, (SELECT max(place) FROM stand))) AS place
        FROM owed o
    ) o JOIN stand d ON d.place = o.place
    LEFT JOIN share a ON a.invoice_id = o.id AND a.own <= d.day AND (a.ended_date IS NULL OR a.ended_date > d.day)
    GROUP BY d.month, d.day, o.id, o.customer_id, o.currency, o.due_date, o.invoice_date, o.gross, o.is_disputed
), settled AS (
    SELECT d.month, d.day, s.customer_id, s.currency, s.amount, s.credit_note_id FROM days d
    JOIN share s ON {s.date} = d.month AND s.date <= d.day
    UNION ALL
    SELECT d.month, d.day, s.customer_id, s.currency, -s.amount, s.credit_note_id FROM days d
    JOIN share s ON {s.ended_date} = d.month AND s.ended_date <= d.day
), payment AS (
    SELECT id, customer_id, currency, amount, received_date, reversed_date FROM billing_payment p
    WHERE reseller_id = %(reseller)s {mine p.customer_id}
), cash AS (
    SELECT d.month, d.day, p.customer_id, p.currency, p.amount FROM days d
    JOIN payment p ON {p.received_date} = d.month AND p.received_date <= d.day
    UNION ALL
    SELECT d.month, d.day, p.customer_id, p.currency, -p.amount FROM days d
    JOIN payment p ON {p.reversed_date} = d.month AND p.reversed_date <= d.day
), spent AS MATERIALIZED (
    SELECT p.id, p.customer_id, p.currency, p.amount, p.received_date,
        CASE WHEN p.reversed_date IS NULL AND coalesce(a.used, 0) = p.amount AND a.ended = 0
            THEN greatest(a.last_date, p.received_date) ELSE p.reversed_date END AS until
    FROM payment p LEFT JOIN (
        SELECT payment_id, sum(amount) AS used, max(date) AS last_date, count(ended_date) AS ended
        FROM billing_allocation WHERE reseller_id = %(reseller)s AND payment_id IS NOT NULL {receipt payment_id}
        GROUP BY payment_id
    ) a ON a.payment_id = p.id
), loose AS (
    SELECT d.month, d.day, s.id, s.customer_id, s.currency, s.amount - coalesce(sum(a.amount), 0) AS amount
    FROM (
        SELECT s.*, generate_series({before s.received_date} + 1,
            coalesce({before s.until}, (SELECT max(place) FROM stand))) AS place
        FROM spent s
    ) s JOIN stand d ON d.place = s.place
    LEFT JOIN billing_allocation a ON a.reseller_id = %(reseller)s AND a.payment_id = s.id AND a.date <= d.day
        AND (a.ended_date IS NULL OR a.ended_date > d.day) {receipt a.payment_id}
    GROUP BY d.month, d.day, s.id, s.customer_id, s.currency, s.amount
), entry AS (
"""
_COUNTED = "CASE WHEN i.gross > 0 AND g.id IS NULL THEN {} END"
_MONEY_ENTRIES = entries(
    {"invoices": "int", "average_invoices": "int"},
    (
        "FROM days d JOIN invoice i ON i.month = d.month AND i.invoice_date <= d.day"
        " LEFT JOIN gone g ON g.day = d.day AND g.id = i.id",
        keys("d", "i")
        | {"invoices": "1", "net": "i.net", "gross": "i.gross"}
        | {"average_invoices": _COUNTED.format("1"), "average_net": _COUNTED.format("i.net")},
    ),
    (
        "FROM days d JOIN invoice i ON i.month = d.month AND i.invoice_date <= d.day"
        " JOIN billing_invoiceline l ON l.reseller_id = %(reseller)s AND l.invoice_id = i.id"
        " AND l.kind IN ('recurring', 'usage', 'carrier', 'credit') {bill l.invoice_id}",
        keys("d", "i") | {"service_net": "l.net"},
    ),
    (
        "FROM note n LEFT JOIN gone g ON g.day = n.day AND g.id = n.invoice_id",
        keys("n", "n")
        | {"credited_net": "n.net", "credited_gross": "n.gross"}
        | {"average_net": "CASE WHEN g.id IS NULL THEN -n.net END"},
    ),
    ("FROM credit n", keys("n", "n") | {"service_net": "-n.net"}),
    ("FROM cash c", keys("c", "c") | {"paid": "c.amount"}),
    (
        "FROM settled s",
        keys("s", "s")
        | {"settled_cash": "CASE WHEN s.credit_note_id IS NULL THEN s.amount END"}
        | {"settled_credit": "CASE WHEN s.credit_note_id IS NOT NULL THEN s.amount END"},
    ),
    ("FROM loose o WHERE o.amount <> 0", keys("o", "o") | {"on_account": "o.amount"}),
    (
        "FROM days d JOIN billing_ledgerentry e ON e.reseller_id = %(reseller)s AND e.kind IN ('refund', 'write_off')"
        " AND {e.date} = d.month AND e.date <= d.day {mine e.customer_id}",
        keys("d", "e")
        | {"refunded": "CASE WHEN e.kind = 'refund' THEN abs(e.amount) END"}
        | {"written_off": "CASE WHEN e.kind = 'write_off' THEN abs(e.amount) END"},
    ),
    (
        "FROM balance b WHERE b.amount <> 0",
        keys("b", "b")
        | {"disputed": "CASE WHEN b.is_disputed THEN b.amount END"}
        | {"not_due": "CASE WHEN b.late <= 0 THEN b.amount END"}
        | {"late_30": "CASE WHEN b.late BETWEEN 1 AND 30 THEN b.amount END"}
        | {"late_60": "CASE WHEN b.late BETWEEN 31 AND 60 THEN b.amount END"}
        | {"late_90": "CASE WHEN b.late BETWEEN 61 AND 90 THEN b.amount END"}
        | {"late_more": "CASE WHEN b.late > 90 THEN b.amount END"},
    ),
)
MONEY = " ".join(
    [
        _MONEY_HEAD,
        _MONEY_ENTRIES.rows,
        ") SELECT e.month, e.day, e.customer_id, e.currency,",
        _MONEY_ENTRIES.sums,
        "FROM entry e JOIN account c ON c.id = e.customer_id GROUP BY e.month, e.day, e.customer_id, e.currency",
    ]
)

LINES = """
WITH line AS (
    SELECT d.month, d.day, i.customer_id, i.currency, l.kind, l.call_class, 1 AS lines, l.net, l.cost, l.calls,
        l.seconds
    FROM days d
    JOIN billing_invoice i ON i.reseller_id = %(reseller)s AND i.state <> 'draft'
        AND {i.invoice_date} = d.month AND i.invoice_date <= d.day {mine i.customer_id}
    JOIN billing_invoiceline l ON l.reseller_id = i.reseller_id AND l.invoice_id = i.id {bill l.invoice_id}
    UNION ALL
    SELECT d.month, d.day, n.customer_id, n.currency, 'credit_note', '', 1, -n.net, 0, 0, 0
    FROM days d JOIN billing_creditnote n ON n.reseller_id = %(reseller)s AND {n.date} = d.month AND n.date <= d.day
        {mine n.customer_id}
)
SELECT l.month, l.day, l.customer_id, l.currency, l.kind, l.call_class, sum(l.lines)::int AS lines, sum(l.net) AS net,
    sum(l.cost) AS cost, sum(l.calls)::bigint AS calls, sum(l.seconds)::bigint AS seconds
FROM line l JOIN account c ON c.id = l.customer_id
GROUP BY l.month, l.day, l.customer_id, l.currency, l.kind, l.call_class
"""

USAGE = """
SELECT d.month, d.day, u.customer_id, u.carrier_id, u.service, u.call_class, x.currency,
    sum(x.calls)::bigint AS calls, sum(x.seconds)::bigint AS seconds, sum(x.volume) AS volume,
    sum(x.retail) AS retail, sum(x.cost) AS cost, sum(x.estimated) AS estimated, sum(x.losing)::bigint AS losing,
    sum(x.lost) AS lost
FROM days d CROSS JOIN LATERAL (
    SELECT customer_id, carrier_id, service, call_class, currency, cost_currency, count(*) AS calls,
        sum(billed_seconds) AS seconds, sum(volume) AS volume, sum(retail) AS retail,
        sum(coalesce(cost, expected_cost, 0)) AS cost,
        coalesce(sum(expected_cost) FILTER (WHERE cost IS NULL), 0) AS estimated,
        count(*) FILTER (WHERE coalesce(cost, expected_cost) > retail AND currency = cost_currency) AS losing,
        coalesce(sum(coalesce(cost, expected_cost) - retail)
            FILTER (WHERE coalesce(cost, expected_cost) > retail AND currency = cost_currency), 0) AS lost
    FROM billing_call u WHERE u.reseller_id = %(reseller)s AND u.state IN ('rated', 'zero')
        AND u.started_at >= (d.month::timestamp AT TIME ZONE %(zone)s)
        AND u.started_at < ((d.day + 1)::timestamp AT TIME ZONE %(zone)s) {mine u.customer_id}
    GROUP BY customer_id, carrier_id, service, call_class, currency, cost_currency
) u JOIN account c ON c.id = u.customer_id CROSS JOIN LATERAL (VALUES
    (coalesce(nullif(u.currency, ''), c.currency), u.calls, u.seconds, u.volume, u.retail, 0::numeric, 0::numeric,
        u.losing, u.lost),
    (coalesce(nullif(u.cost_currency, ''), nullif(u.currency, ''), c.currency), 0, 0, 0, 0, u.cost, u.estimated, 0, 0)
) x (currency, calls, seconds, volume, retail, cost, estimated, losing, lost)
WHERE x.calls <> 0 OR x.cost <> 0
GROUP BY d.month, d.day, u.customer_id, u.carrier_id, u.service, u.call_class, x.currency
"""

TRAFFIC = """
SELECT d.month, d.day, u.carrier_id, u.service, u.destination, u.state, u.reason, x.currency,
    sum(x.calls)::bigint AS calls, sum(x.seconds)::bigint AS seconds, sum(x.retail) AS retail, sum(x.cost) AS cost
FROM days d CROSS JOIN LATERAL (
    SELECT carrier_id, service, destination, state, reason, currency, cost_currency, count(*) AS calls,
        sum(CASE WHEN state IN ('rated', 'zero') THEN billed_seconds ELSE duration END) AS seconds,
        sum(retail) AS retail, sum(coalesce(cost, expected_cost, 0)) AS cost
    FROM billing_call u WHERE u.reseller_id = %(reseller)s
        AND u.started_at >= (d.month::timestamp AT TIME ZONE %(zone)s)
        AND u.started_at < ((d.day + 1)::timestamp AT TIME ZONE %(zone)s)
    GROUP BY carrier_id, service, destination, state, reason, currency, cost_currency
) u CROSS JOIN LATERAL (VALUES
    (coalesce(nullif(u.currency, ''), %(home)s), u.calls, u.seconds, u.retail, 0::numeric),
    (coalesce(nullif(u.cost_currency, ''), nullif(u.currency, ''), %(home)s), 0, 0, 0, u.cost)
) x (currency, calls, seconds, retail, cost)
WHERE x.calls <> 0 OR x.cost <> 0
GROUP BY d.month, d.day, u.carrier_id, u.service, u.destination, u.state, u.reason, x.currency
"""

CALLING = """
SELECT d.month, d.day, u.customer_id, u.number_id, u.calls, u.last_day
FROM days d CROSS JOIN LATERAL (
    SELECT customer_id, number_id, count(*) AS calls, (max(started_at) AT TIME ZONE %(zone)s)::date AS last_day
    FROM billing_call u WHERE u.reseller_id = %(reseller)s AND u.number_id IS NOT NULL
        AND u.started_at >= (d.month::timestamp AT TIME ZONE %(zone)s)
        AND u.started_at < ((d.day + 1)::timestamp AT TIME ZONE %(zone)s) {mine u.customer_id}
    GROUP BY customer_id, number_id
) u JOIN account c ON c.id = u.customer_id
"""

_DYNAMICS_HEAD = """
WITH step AS (
    SELECT e.customer_id, e.currency, width_bucket(e.date - 1, ARRAY(SELECT day FROM days ORDER BY day)) AS place,
        -sum(e.amount) AS amount
    FROM billing_ledgerentry e WHERE e.reseller_id = %(reseller)s {mine e.customer_id} GROUP BY 1, 2, 3
), numbered AS (
    SELECT d.*, row_number() OVER (ORDER BY day) - 1 AS place FROM days d
), stood AS (
    SELECT d.month, d.day, w.customer_id, w.currency,
        sum(s.amount) OVER (PARTITION BY w.customer_id, w.currency ORDER BY d.day) AS balance
    FROM numbered d CROSS JOIN (SELECT DISTINCT customer_id, currency FROM step) w
    LEFT JOIN step s ON s.customer_id = w.customer_id AND s.currency = w.currency AND s.place = d.place
), entry AS (
"""
_DYNAMICS_ENTRIES = entries(
    {"refills": "int", "activations": "int", "renewals": "int"},
    ("FROM stood s WHERE s.balance <> 0", keys("s", "s") | {"balance": "s.balance"}),
    (
        "FROM days d JOIN billing_payment p ON p.reseller_id = %(reseller)s AND {p.received_date} = d.month"
        " AND p.received_date <= d.day {mine p.customer_id}",
        keys("d", "p") | {"refills": "1", "refilled": "p.amount"},
    ),
    (
        "FROM days d JOIN billing_payment p ON p.reseller_id = %(reseller)s AND {p.reversed_date} = d.month"
        " AND p.reversed_date <= d.day {mine p.customer_id}",
        keys("d", "p") | {"refilled": "-p.amount"},
    ),
    (
        "FROM days d JOIN billing_charge h ON h.reseller_id = %(reseller)s AND {h.service_start} = d.month"
        " AND h.service_start <= d.day AND h.kind <> 'credit' {mine h.customer_id}",
        keys("d", "h")
        | {"activations": "h.is_activation::int", "activated": "CASE WHEN h.is_activation THEN h.amount END"}
        | {"renewals": "h.is_renewal::int", "renewed": "CASE WHEN h.is_renewal THEN h.amount END"}
        | {"charged": "CASE WHEN h.kind IN ('recurring', 'one_off') AND h.amount > 0 THEN h.amount END"},
    ),
)
DYNAMICS = " ".join(
    [
        _DYNAMICS_HEAD,
        _DYNAMICS_ENTRIES.rows,
        ") SELECT e.month, e.day, e.customer_id, e.currency,",
        _DYNAMICS_ENTRIES.sums,
        "FROM entry e JOIN account c ON c.id = e.customer_id GROUP BY e.month, e.day, e.customer_id, e.currency",
    ]
)
