"""Facts at given days, as SQL: one text per table, used for stored month ends and for any other day.

Parameters: `reseller`, and `days` (at most one per month). A day means after that day's entries: a service counts
from its start date up to, not including, its end date. Test accounts are left out. All texts share the CTE `days`.
"""

import re

DAYS = """
days AS (
    SELECT d AS day, date_trunc('month', d)::date AS month, (date_trunc('month', d) - interval '1 day')::date AS past
    FROM unnest(%(days)s::date[]) d
), account AS (
    SELECT id, status, imported FROM billing_customer WHERE reseller_id = %(reseller)s AND NOT is_test
)"""

CUSTOMERS = """
WITH service AS (
    SELECT customer_id, start_date, end_date, 1 AS numbers, 0 AS features
    FROM billing_numberassignment WHERE reseller_id = %(reseller)s
    UNION ALL
    SELECT f.customer_id, f.start_date, f.end_date, 0, CASE WHEN t.kind IN ('feature', 'package') THEN 1 ELSE 0 END
    FROM billing_feature f JOIN billing_featuretype t ON t.id = f.feature_type_id AND t.reseller_id = f.reseller_id
    WHERE f.reseller_id = %(reseller)s AND t.interval <> 'once'
), closes AS (
    SELECT *, (date_trunc('month', start_date) + interval '1 month - 1 day')::date AS close FROM service
), seen AS (
    SELECT customer_id, min(close) AS first_close FROM closes WHERE end_date IS NULL OR end_date > close
    GROUP BY customer_id
), stand AS (
    SELECT customer_id, status, date AS since,
        lead(date) OVER (PARTITION BY customer_id ORDER BY date) AS until
    FROM billing_customerevent WHERE reseller_id = %(reseller)s
), told AS (
    SELECT DISTINCT customer_id FROM stand
), held AS (
    SELECT d.month, d.day, d.past, s.customer_id,
        bool_or(s.end_date IS NULL OR s.end_date > d.day) AS active,
        bool_or(s.start_date <= d.past AND (s.end_date IS NULL OR s.end_date > d.past)) AS was_active,
        coalesce(sum(s.numbers) FILTER (WHERE s.end_date IS NULL OR s.end_date > d.day), 0)::int AS numbers,
        coalesce(sum(s.features) FILTER (WHERE s.end_date IS NULL OR s.end_date > d.day), 0)::int AS features,
        min(s.start_date) AS first_start,
        max(s.end_date) FILTER (WHERE s.end_date <= d.day) AS last_end
    FROM days d JOIN service s ON s.start_date <= d.day
    GROUP BY d.month, d.day, d.past, s.customer_id
)
SELECT h.month, h.day, h.customer_id,
    coalesce(e.status, CASE WHEN NOT h.active THEN 'ceased'
        WHEN o.customer_id IS NULL AND c.status = 'suspended' THEN 'suspended' ELSE 'active' END) AS status,
    h.active, h.was_active, coalesce(s.first_close <= h.past, false) AS seen_before,
    h.active AND NOT h.was_active AND c.imported AND NOT coalesce(s.first_close <= h.past, false) AS moved_in,
    h.numbers, h.features,
    round((CASE WHEN h.active THEN h.day ELSE h.last_end END - h.first_start) / 30.4375, 6) AS tenure_months
FROM held h JOIN account c ON c.id = h.customer_id
LEFT JOIN seen s ON s.customer_id = h.customer_id
LEFT JOIN told o ON o.customer_id = h.customer_id
LEFT JOIN stand e ON e.customer_id = h.customer_id AND e.since <= h.day AND (e.until IS NULL OR e.until > h.day)
"""

NUMBERS = """
WITH pairs AS (
    SELECT d.month, d.day, a.customer_id, a.number_id,
        bool_or(a.start_date <= d.day AND (a.end_date IS NULL OR a.end_date > d.day)) AS now,
        bool_or(a.start_date <= d.past AND (a.end_date IS NULL OR a.end_date > d.past)) AS before
    FROM days d JOIN billing_numberassignment a
        ON a.reseller_id = %(reseller)s AND a.start_date <= d.day AND (a.end_date IS NULL OR a.end_date > d.past)
    GROUP BY d.month, d.day, a.customer_id, a.number_id
)
SELECT p.month, p.day, p.customer_id, n.type AS number_type,
    (count(*) FILTER (WHERE p.now))::int AS held,
    (count(*) FILTER (WHERE p.now AND NOT p.before))::int AS added,
    (count(*) FILTER (WHERE p.before AND NOT p.now))::int AS removed
FROM pairs p JOIN account c ON c.id = p.customer_id
JOIN billing_number n ON n.id = p.number_id AND n.reseller_id = %(reseller)s
WHERE p.now OR p.before
GROUP BY p.month, p.day, p.customer_id, n.type
"""

FEATURES = """
WITH held AS (
    SELECT d.month, d.day, f.customer_id, f.feature_type_id, t.currency, f.quantity,
        CASE WHEN f.not_charged THEN 0 ELSE
            round(f.quantity * coalesce(f.price, p.price, 0) * (100 - f.discount_percent) / 100
            / CASE t.interval WHEN 'month' THEN 1 WHEN 'quarter' THEN 3 ELSE 12 END, 6) END AS mrr
    FROM days d
    JOIN billing_feature f ON f.reseller_id = %(reseller)s AND f.start_date <= d.day
        AND (f.end_date IS NULL OR f.end_date > d.day)
    JOIN billing_featuretype t ON t.id = f.feature_type_id AND t.reseller_id = f.reseller_id AND t.interval <> 'once'
    LEFT JOIN billing_featureprice p ON p.reseller_id = f.reseller_id AND p.feature_type_id = f.feature_type_id
        AND p.valid_from <= d.day AND (p.valid_to IS NULL OR p.valid_to > d.day)
), billed AS (
    SELECT d.month, d.day, i.customer_id, l.feature_type_id, i.currency, l.net
    FROM days d
    JOIN billing_invoice i ON i.reseller_id = %(reseller)s AND i.state <> 'draft'
        AND {i.invoice_date} = d.month AND i.invoice_date <= d.day
    JOIN billing_invoiceline l ON l.reseller_id = i.reseller_id AND l.invoice_id = i.id
        AND l.feature_type_id IS NOT NULL
    UNION ALL
    SELECT d.month, d.day, n.customer_id, l.feature_type_id, n.currency, -k.net
    FROM days d
    JOIN billing_creditnote n ON n.reseller_id = %(reseller)s AND {n.date} = d.month AND n.date <= d.day
    JOIN billing_creditnoteline k ON k.reseller_id = n.reseller_id AND k.credit_note_id = n.id
    JOIN billing_invoiceline l ON l.reseller_id = n.reseller_id AND l.id = k.invoice_line_id
        AND l.feature_type_id IS NOT NULL
), both_sides AS (
    SELECT month, day, customer_id, feature_type_id, currency, quantity, mrr, 0 AS revenue FROM held
    UNION ALL
    SELECT month, day, customer_id, feature_type_id, currency, 0, 0, net FROM billed
)
SELECT b.month, b.day, b.customer_id, b.feature_type_id, b.currency,
    sum(b.quantity)::int AS quantity, sum(b.mrr) AS mrr, sum(b.revenue) AS revenue
FROM both_sides b JOIN account c ON c.id = b.customer_id
GROUP BY b.month, b.day, b.customer_id, b.feature_type_id, b.currency
"""

MONEY = """
WITH invoice AS (
    SELECT id, customer_id, currency, invoice_date, due_date, net, gross, {invoice_date} AS month
    FROM billing_invoice WHERE reseller_id = %(reseller)s AND state <> 'draft'
), note AS (
    SELECT d.month, d.day, n.id, n.customer_id, n.currency, n.invoice_id, n.net, n.gross
    FROM days d
    JOIN billing_creditnote n ON n.reseller_id = %(reseller)s AND {n.date} = d.month AND n.date <= d.day
), gone AS (
    SELECT d.day, i.id FROM days d JOIN invoice i ON i.month = d.month AND i.invoice_date <= d.day
    JOIN note n ON n.day = d.day AND n.invoice_id = i.id
    WHERE i.gross > 0 GROUP BY d.day, i.id, i.gross HAVING sum(n.gross) >= i.gross
), credit AS (
    SELECT n.month, n.day, n.customer_id, n.currency, coalesce(k.net, n.net) AS net
    FROM note n LEFT JOIN billing_creditnoteline k ON k.reseller_id = %(reseller)s AND k.credit_note_id = n.id
    LEFT JOIN billing_invoiceline l ON l.reseller_id = %(reseller)s AND l.id = k.invoice_line_id
    WHERE l.kind IS NULL OR l.kind IN ('recurring', 'usage', 'carrier', 'credit')
), owed AS (
    SELECT i.*, CASE WHEN coalesce(a.settled, 0) = i.gross AND a.ended = 0 THEN a.last_date END AS settled_on
    FROM invoice i LEFT JOIN (
        SELECT invoice_id, sum(amount) AS settled, max(date) AS last_date, count(ended_date) AS ended
        FROM billing_allocation WHERE reseller_id = %(reseller)s GROUP BY invoice_id
    ) a ON a.invoice_id = i.id
), balance AS (
    SELECT d.month, d.day, o.id, o.customer_id, o.currency, d.day - o.due_date AS late,
        o.gross - coalesce(sum(a.amount), 0) AS amount
    FROM days d JOIN owed o ON o.invoice_date <= d.day AND (o.settled_on IS NULL OR o.settled_on > d.day)
    LEFT JOIN billing_allocation a ON a.reseller_id = %(reseller)s AND a.invoice_id = o.id AND a.date <= d.day
        AND (a.ended_date IS NULL OR a.ended_date > d.day)
    GROUP BY d.month, d.day, o.id, o.customer_id, o.currency, o.due_date, o.gross
), cash AS (
    SELECT d.month, d.day, p.customer_id, p.currency, p.amount FROM days d
    JOIN billing_payment p ON p.reseller_id = %(reseller)s AND {p.received_date} = d.month AND p.received_date <= d.day
    UNION ALL
    SELECT d.month, d.day, p.customer_id, p.currency, -p.amount FROM days d
    JOIN billing_payment p ON p.reseller_id = %(reseller)s AND {p.reversed_date} = d.month AND p.reversed_date <= d.day
), entry AS (
    SELECT d.month, d.day, i.customer_id, i.currency, 1 AS invoices, i.net, i.gross, 0 AS credited_net,
        CASE WHEN i.gross > 0 AND g.id IS NULL THEN 1 ELSE 0 END AS average_invoices,
        CASE WHEN i.gross > 0 AND g.id IS NULL THEN i.net ELSE 0 END AS average_net,
        0 AS service_net, 0 AS paid, NULL::int AS late, 0 AS owed
    FROM days d JOIN invoice i ON i.month = d.month AND i.invoice_date <= d.day
    LEFT JOIN gone g ON g.day = d.day AND g.id = i.id
    UNION ALL
    SELECT d.month, d.day, i.customer_id, i.currency, 0, 0, 0, 0, 0, 0, l.net, 0, NULL, 0
    FROM days d JOIN invoice i ON i.month = d.month AND i.invoice_date <= d.day
    JOIN billing_invoiceline l ON l.reseller_id = %(reseller)s AND l.invoice_id = i.id
        AND l.kind IN ('recurring', 'usage', 'carrier', 'credit')
    UNION ALL
    SELECT n.month, n.day, n.customer_id, n.currency, 0, 0, 0, n.net, 0,
        CASE WHEN g.id IS NULL THEN -n.net ELSE 0 END, 0, 0, NULL, 0
    FROM note n LEFT JOIN gone g ON g.day = n.day AND g.id = n.invoice_id
    UNION ALL
    SELECT month, day, customer_id, currency, 0, 0, 0, 0, 0, 0, -net, 0, NULL, 0 FROM credit
    UNION ALL
    SELECT month, day, customer_id, currency, 0, 0, 0, 0, 0, 0, 0, amount, NULL, 0 FROM cash
    UNION ALL
    SELECT month, day, customer_id, currency, 0, 0, 0, 0, 0, 0, 0, 0, late, amount FROM balance WHERE amount <> 0
)
SELECT e.month, e.day, e.customer_id, e.currency, sum(e.invoices)::int AS invoices, sum(e.net) AS net,
    sum(e.gross) AS gross, sum(e.credited_net) AS credited_net, sum(e.average_invoices)::int AS average_invoices,
    sum(e.average_net) AS average_net, sum(e.service_net) AS service_net, sum(e.paid) AS paid,
    coalesce(sum(e.owed) FILTER (WHERE e.late <= 0), 0) AS not_due,
    coalesce(sum(e.owed) FILTER (WHERE e.late BETWEEN 1 AND 30), 0) AS late_30,
    coalesce(sum(e.owed) FILTER (WHERE e.late BETWEEN 31 AND 60), 0) AS late_60,
    coalesce(sum(e.owed) FILTER (WHERE e.late BETWEEN 61 AND 90), 0) AS late_90,
    coalesce(sum(e.owed) FILTER (WHERE e.late > 90), 0) AS late_more
FROM entry e JOIN account c ON c.id = e.customer_id
GROUP BY e.month, e.day, e.customer_id, e.currency
"""


def in_months(text: str) -> str:
    """Write out {date}, the first day of a date's month, so that dated rows join months by equality."""
    return re.sub(r"\{([\w.]+)\}", r"(\1 - extract(day FROM \1)::int + 1)", text)


FACTS = {
    "customerfact": CUSTOMERS,
    "numberfact": NUMBERS,
    "featurefact": in_months(FEATURES),
    "moneyfact": in_months(MONEY),
}
COLUMNS = {
    "customerfact": "month, day, customer_id, status, active, was_active, seen_before, moved_in, numbers, features, "
    "tenure_months",
    "numberfact": "month, day, customer_id, number_type, held, added, removed",
    "featurefact": "month, day, customer_id, feature_type_id, currency, quantity, mrr, revenue",
    "moneyfact": "month, day, customer_id, currency, invoices, net, gross, credited_net, average_invoices, "
    "average_net, service_net, paid, not_due, late_30, late_60, late_90, late_more",
}
