"""Facts of the book at given days, as SQL: accounts, customers, numbers, features and what MRR moved.

A text may use the common table expressions `days` (month, day, past) and `account`. {a.date} stands for the first day
of a date's bucket, {mine a.customer_id} for the narrowing to changed customers. A service counts from its start date up
to, not including, its end date. Test accounts are left out. [[What stands in double brackets]] is written only where
recurring revenue leaves out customers that are suspended.
"""

from kpis.facts_rows import entries, keys

DAYS = """
days AS (
    SELECT d AS day, {d} AS month, {d} - 1 AS past, d = ANY(%(asked)s::date[]) AS asked
    FROM unnest(%(days)s::date[]) d
)"""

ACCOUNT = """
SELECT c.id,
    CASE WHEN %(count_by)s = 'group' THEN coalesce(p.parent_id, c.parent_id, c.id) ELSE c.id END AS holder,
    c.status, c.imported, c.currency, c.dealer_id, coalesce(dealer.code, '') AS dealer, c.segment, c.client_type,
    c.campaign, coalesce(upper(substring(c.postcode FROM '^[A-Za-z]+')), '') AS region,
    c.tags, coalesce(c.account_manager_id::text, '') AS manager
FROM billing_customer c
LEFT JOIN billing_customer p ON p.id = c.parent_id AND p.reseller_id = c.reseller_id
LEFT JOIN billing_dealer dealer ON dealer.id = c.dealer_id AND dealer.reseller_id = c.reseller_id
WHERE c.reseller_id = %(reseller)s AND NOT c.is_test {mine c.id}
"""

CUSTOMERS = """
WITH notice AS MATERIALIZED (
    SELECT customer_id, date, notice_date FROM billing_customerevent e
    WHERE reseller_id = %(reseller)s AND %(churn_recognition)s = 'notice' AND status = 'ceased'
        AND notice_date IS NOT NULL {mine e.customer_id}
), had AS (
    SELECT a.holder AS customer_id, s.customer_id AS account_id, s.start_date, s.end_date, 1 AS numbers, 0 AS features
    FROM billing_numberassignment s JOIN account a ON a.id = s.customer_id
    WHERE s.reseller_id = %(reseller)s {mine s.customer_id}
    UNION ALL
    SELECT a.holder, f.customer_id, f.start_date, f.end_date, 0,
        CASE WHEN t.kind IN ('feature', 'package') THEN 1 ELSE 0 END
    FROM billing_feature f JOIN account a ON a.id = f.customer_id
    JOIN billing_featuretype t ON t.id = f.feature_type_id AND t.reseller_id = f.reseller_id
    WHERE f.reseller_id = %(reseller)s AND t.interval <> 'once' {mine f.customer_id}
), service AS (
    SELECT h.customer_id, h.start_date, least(h.end_date, (SELECT min(n.notice_date) FROM notice n
        WHERE n.customer_id = h.account_id AND n.notice_date > h.start_date AND n.notice_date < h.end_date
            AND n.date >= h.end_date)) AS end_date, h.numbers, h.features
    FROM had h
), closes AS (
    SELECT *, (date_trunc('month', start_date) + interval '1 month - 1 day')::date AS close FROM service
), seen AS (
    SELECT customer_id, min(close) AS first_close FROM closes WHERE end_date IS NULL OR end_date > close
    GROUP BY customer_id
), stand AS (
    SELECT customer_id, status, reason, date AS since,
        lead(date) OVER (PARTITION BY customer_id ORDER BY date) AS until
    FROM billing_customerevent e WHERE reseller_id = %(reseller)s {mine e.customer_id}
), told AS (
    SELECT DISTINCT customer_id FROM stand
), left_for AS (
    SELECT DISTINCT ON (d.day, s.customer_id) d.day, s.customer_id, s.reason
    FROM days d JOIN stand s ON s.since <= d.day AND s.status = 'ceased'
    ORDER BY d.day, s.customer_id, s.since DESC
), held AS (
    SELECT d.month, d.day, d.past, s.customer_id,
        bool_or(s.end_date IS NULL OR s.end_date > d.day) AS active,
        bool_or(s.start_date <= d.past AND (s.end_date IS NULL OR s.end_date > d.past)) AS was_active,
        coalesce(sum(s.numbers) FILTER (WHERE s.end_date IS NULL OR s.end_date > d.day), 0)::int AS numbers,
        coalesce(sum(s.features) FILTER (WHERE s.end_date IS NULL OR s.end_date > d.day), 0)::int AS features,
        min(s.start_date) AS first_start,
        max(s.end_date) FILTER (WHERE s.end_date <= d.day) AS last_end,
        max(s.end_date) FILTER (WHERE s.start_date <= d.past AND s.end_date <= d.past) AS ended,
        min(s.start_date) FILTER (WHERE s.start_date > d.past) AS restarted
    FROM days d JOIN service s ON s.start_date <= d.day
    GROUP BY d.month, d.day, d.past, s.customer_id
), known AS (
    SELECT h.*, coalesce(s.first_close <= h.past, false) AS ever,
        coalesce(s.first_close <= h.past, false) AND (%(reactivation_window_days)s::int IS NULL OR h.was_active
            OR coalesce(h.restarted - h.ended <= %(reactivation_window_days)s::int, true)) AS seen_before
    FROM held h LEFT JOIN seen s ON s.customer_id = h.customer_id
)
SELECT h.month, h.day, h.customer_id,
    coalesce(e.status, CASE WHEN NOT h.active THEN 'ceased'
        WHEN o.customer_id IS NULL AND c.status = 'suspended' THEN 'suspended' ELSE 'active' END) AS status,
    h.active, h.was_active, h.seen_before,
    h.active AND NOT h.was_active AND c.imported AND NOT h.ever AS moved_in,
    h.numbers, h.features,
    round((CASE WHEN h.active THEN h.day ELSE h.last_end END - h.first_start) / 30.4375, 6) AS tenure_months,
    h.first_start AS since, NOT h.active AND h.first_start > h.past AS in_period,
    CASE WHEN h.active THEN '' ELSE coalesce(nullif(l.reason, ''), 'unknown') END AS reason
FROM known h JOIN account c ON c.id = h.customer_id
LEFT JOIN told o ON o.customer_id = h.customer_id
LEFT JOIN stand e ON e.customer_id = h.customer_id AND e.since <= h.day AND (e.until IS NULL OR e.until > h.day)
LEFT JOIN left_for l ON l.customer_id = h.customer_id AND l.day = h.day
"""

NUMBERS = """
WITH pairs AS (
    SELECT d.month, d.day, a.customer_id, a.number_id,
        bool_or(a.start_date <= d.day AND (a.end_date IS NULL OR a.end_date > d.day)) AS now,
        bool_or(a.start_date <= d.past AND (a.end_date IS NULL OR a.end_date > d.past)) AS before
    FROM days d JOIN billing_numberassignment a
        ON a.reseller_id = %(reseller)s AND a.start_date <= d.day AND (a.end_date IS NULL OR a.end_date > d.past)
        {mine a.customer_id}
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

#: From which day up to which an account has which status; without any event it always has the one of the account.
STANDS = """
    SELECT customer_id, status, date AS since, lead(date) OVER (PARTITION BY customer_id ORDER BY date) AS until
    FROM billing_customerevent e WHERE reseller_id = %(reseller)s {mine e.customer_id}
    UNION ALL
    SELECT a.id, CASE WHEN t.first IS NULL THEN a.status ELSE 'active' END, '-infinity', t.first
    FROM account a LEFT JOIN (
        SELECT customer_id, min(date) AS first FROM billing_customerevent e
        WHERE reseller_id = %(reseller)s {mine e.customer_id} GROUP BY customer_id
    ) t ON t.customer_id = a.id
"""
#: The spans of days on which an account is suspended.
SUSPENDED = " ".join(
    ["suspended AS (SELECT customer_id, since, until FROM (", STANDS, ") s WHERE status = 'suspended')"]
)
#: The same for a feature `f` at a close.
IS_SUSPENDED = """LEFT JOIN suspended {s} ON {s}.customer_id = f.customer_id AND {s}.since <= {day}
        AND ({s}.until IS NULL OR {s}.until > {day})"""

#: What a feature brings per month: {price} is the list price to take where it has no price of its own.
FEATURE_MRR = """CASE WHEN f.not_charged THEN 0 ELSE round(f.quantity * coalesce(f.price, {price}, 0)
    * (100 - f.discount_percent) / 100 / i.months, 6) END"""

_FEATURE_HEAD = """
WITH [[SUSPENDED,]] piece AS (
    SELECT d.month, d.day, f.customer_id, f.feature_type_id, t.currency, f.quantity, f.minimum_term_end,
        f.start_date <= d.day AND (f.end_date IS NULL OR f.end_date > d.day) AS now,
        f.start_date <= d.past AND (f.end_date IS NULL OR f.end_date > d.past) AS before,
        f.start_date > d.day AS ahead, coalesce(f.end_date <= d.day + 90, false) AS ends,
        [[CASE WHEN s.customer_id IS NULL THEN]] MRR_NOW [[ELSE 0 END]] AS mrr,
        [[CASE WHEN z.customer_id IS NULL THEN]] MRR_PAST [[ELSE 0 END]] AS mrr_past,
        [[CASE WHEN s.customer_id IS NULL THEN]] round(f.quantity * coalesce(f.cost, p.cost, 0) / i.months, 6)
        [[ELSE 0 END]] AS cost,
        [[CASE WHEN s.customer_id IS NULL THEN]] round(f.quantity * coalesce(p.price, 0) / i.months, 6)
        [[ELSE 0 END]] AS list_mrr
    FROM days d
    JOIN billing_feature f ON f.reseller_id = %(reseller)s AND f.start_date <= d.day + 90
        AND (f.end_date IS NULL OR f.end_date > d.past) {mine f.customer_id}
    JOIN billing_featuretype t ON t.id = f.feature_type_id AND t.reseller_id = f.reseller_id AND t.interval <> 'once'
    JOIN (VALUES ('month', 1), ('quarter', 3), ('year', 12)) i (interval, months) ON i.interval = t.interval
    LEFT JOIN billing_featureprice p ON p.reseller_id = f.reseller_id AND p.feature_type_id = f.feature_type_id
        AND p.valid_from <= d.day AND (p.valid_to IS NULL OR p.valid_to > d.day)
    LEFT JOIN billing_featureprice q ON q.reseller_id = f.reseller_id AND q.feature_type_id = f.feature_type_id
        AND q.valid_from <= d.past AND (q.valid_to IS NULL OR q.valid_to > d.past)
    [[SUSPENDED_NOW SUSPENDED_PAST]]
), billed AS (
    SELECT d.month, d.day, i.customer_id, l.feature_type_id, i.currency, l.net
    FROM days d
    JOIN billing_invoice i ON i.reseller_id = %(reseller)s AND i.state <> 'draft'
        AND {i.invoice_date} = d.month AND i.invoice_date <= d.day {mine i.customer_id}
    JOIN billing_invoiceline l ON l.reseller_id = i.reseller_id AND l.invoice_id = i.id
        AND l.feature_type_id IS NOT NULL {bill l.invoice_id}
    UNION ALL
    SELECT d.month, d.day, n.customer_id, l.feature_type_id, n.currency, -k.net
    FROM days d
    JOIN billing_creditnote n ON n.reseller_id = %(reseller)s AND {n.date} = d.month AND n.date <= d.day
        {mine n.customer_id}
    JOIN billing_creditnoteline k ON k.reseller_id = n.reseller_id AND k.credit_note_id = n.id
    JOIN billing_invoiceline l ON l.reseller_id = n.reseller_id AND l.id = k.invoice_line_id
        AND l.feature_type_id IS NOT NULL
), entry AS (
"""
_NOW = "CASE WHEN p.now THEN {} END"
_BOUND = "CASE WHEN p.now AND p.minimum_term_end > p.day THEN {} END"
_FEATURE_ENTRIES = entries(
    {"quantity": "int", "quantity_past": "int"},
    (
        "FROM piece p WHERE p.now OR p.before OR p.ahead",
        keys("p", "p")
        | {"feature_type_id": "p.feature_type_id", "quantity": _NOW.format("p.quantity")}
        | {"quantity_past": "CASE WHEN p.before THEN p.quantity END", "mrr": _NOW.format("p.mrr")}
        | {"mrr_past": "CASE WHEN p.before THEN p.mrr_past END", "cost": _NOW.format("p.cost")}
        | {"list_mrr": _NOW.format("p.list_mrr"), "committed": _BOUND.format("p.mrr")}
        | {"committed_months": _BOUND.format("round(p.mrr * (p.minimum_term_end - p.day) / 30.4375, 6)")}
        | {"expiring": _BOUND.format("CASE WHEN p.minimum_term_end <= p.day + 90 THEN p.mrr END")}
        | {
            "starting": "CASE WHEN p.ahead THEN p.mrr END",
            "ending": "CASE WHEN p.now AND p.ends THEN p.mrr END",
        },
    ),
    ("FROM billed b", keys("b", "b") | {"feature_type_id": "b.feature_type_id", "revenue": "b.net"}),
)
FEATURES = " ".join(
    [
        _FEATURE_HEAD,
        _FEATURE_ENTRIES.rows,
        ") SELECT e.month, e.day, e.customer_id, e.feature_type_id, e.currency,",
        _FEATURE_ENTRIES.sums,
        "FROM entry e JOIN account c ON c.id = e.customer_id",
        "GROUP BY e.month, e.day, e.customer_id, e.feature_type_id, e.currency",
    ]
).replace("MRR_NOW", FEATURE_MRR.replace("{price}", "p.price"))
FEATURES = FEATURES.replace("MRR_PAST", FEATURE_MRR.replace("{price}", "q.price"))
FEATURES = FEATURES.replace("SUSPENDED_NOW", IS_SUSPENDED.format(s="s", day="d.day"))
FEATURES = FEATURES.replace("SUSPENDED_PAST", IS_SUSPENDED.format(s="z", day="d.past"))
FEATURES = FEATURES.replace("SUSPENDED,", f"{SUSPENDED},")

MOVEMENTS = """
WITH piece AS (
    SELECT a.holder AS customer_id, [[a.id AS account_id,]] t.currency, greatest(f.start_date, p.valid_from) AS first,
        least(f.end_date, p.valid_to) AS until, MRR_NOW AS mrr
    FROM billing_feature f JOIN account a ON a.id = f.customer_id
    JOIN billing_featuretype t ON t.id = f.feature_type_id AND t.reseller_id = f.reseller_id AND t.interval <> 'once'
    JOIN (VALUES ('month', 1), ('quarter', 3), ('year', 12)) i (interval, months) ON i.interval = t.interval
    JOIN (
        SELECT feature_type_id, price, valid_from, valid_to FROM billing_featureprice WHERE reseller_id = %(reseller)s
        UNION ALL
        SELECT x.feature_type_id, NULL, coalesce(x.valid_to, '-infinity'), x.next FROM (
            SELECT feature_type_id, valid_to,
                lead(valid_from) OVER (PARTITION BY feature_type_id ORDER BY valid_from) AS next
            FROM billing_featureprice WHERE reseller_id = %(reseller)s
        ) x WHERE x.valid_to IS NOT NULL AND (x.next IS NULL OR x.next > x.valid_to)
        UNION ALL
        SELECT y.id, NULL, '-infinity', min(z.valid_from) FROM billing_featuretype y
        LEFT JOIN billing_featureprice z ON z.feature_type_id = y.id AND z.reseller_id = y.reseller_id
        WHERE y.reseller_id = %(reseller)s GROUP BY y.id
    ) p ON p.feature_type_id = f.feature_type_id AND (p.valid_to IS NULL OR p.valid_to > f.start_date)
        AND (f.end_date IS NULL OR p.valid_from < f.end_date)
    WHERE f.reseller_id = %(reseller)s {mine f.customer_id}
), paying AS (
    SELECT customer_id, currency, first, until, mrr,
        (date_trunc('month', first) + interval '1 month - 1 day')::date AS close
    FROM [[(SELECT p.customer_id, p.currency, p.mrr, greatest(p.first, s.since) AS first,
            least(p.until, s.until) AS until
        FROM piece p JOIN (STANDS) s ON s.customer_id = p.account_id AND s.status <> 'suspended'
            AND (s.until IS NULL OR s.until > p.first) AND (p.until IS NULL OR p.until > s.since))]] piece
    WHERE mrr > 0
), first_paid AS (
    SELECT customer_id, currency, min(close) AS close FROM paying WHERE until IS NULL OR until > close
    GROUP BY customer_id, currency
), moved AS (
    SELECT d.month, d.day, d.past, p.customer_id, p.currency,
        coalesce(sum(p.mrr) FILTER (WHERE p.first <= d.day AND (p.until IS NULL OR p.until > d.day)), 0) AS mrr,
        coalesce(sum(p.mrr) FILTER (WHERE p.first <= d.past AND (p.until IS NULL OR p.until > d.past)), 0) AS mrr_past
    FROM days d JOIN paying p ON p.first <= d.day AND (p.until IS NULL OR p.until > d.past)
    GROUP BY d.month, d.day, d.past, p.customer_id, p.currency
), rates AS (
    SELECT m.day, m.currency, m.at, CASE WHEN m.currency = %(home)s THEN 1 ELSE h.rate / f.rate END AS rate
    FROM (SELECT DISTINCT d.day, c.currency, x.at FROM days d CROSS JOIN (SELECT DISTINCT currency FROM paying) c
        CROSS JOIN LATERAL (VALUES (d.day), (d.past)) x (at)) m
    LEFT JOIN LATERAL (SELECT coalesce((SELECT rate FROM billing_exchangerate e WHERE e.reseller_id = %(reseller)s
        AND e.base = 'EUR' AND e.currency = m.currency AND e.date <= m.at ORDER BY date DESC LIMIT 1),
        CASE WHEN m.currency = 'EUR' THEN 1 END) AS rate) f ON true
    LEFT JOIN LATERAL (SELECT coalesce((SELECT rate FROM billing_exchangerate e WHERE e.reseller_id = %(reseller)s
        AND e.base = 'EUR' AND e.currency = %(home)s AND e.date <= m.at ORDER BY date DESC LIMIT 1),
        CASE WHEN %(home)s = 'EUR' THEN 1 END) AS rate) h ON true
)
SELECT m.month, m.day, m.customer_id, m.currency, m.mrr_past, m.mrr,
    coalesce(f.close <= m.past, false) AS seen_before,
    round(m.mrr_past * then_.rate, 6) AS home_past, round(m.mrr * then_.rate, 6) AS home_same,
    round(m.mrr * now_.rate, 6) AS home
FROM moved m JOIN account c ON c.id = m.customer_id
LEFT JOIN first_paid f ON f.customer_id = m.customer_id AND f.currency = m.currency
LEFT JOIN rates now_ ON now_.day = m.day AND now_.currency = m.currency AND now_.at = m.day
LEFT JOIN rates then_ ON then_.day = m.day AND then_.currency = m.currency AND then_.at = m.past
WHERE m.mrr <> 0 OR m.mrr_past <> 0
""".replace("MRR_NOW", FEATURE_MRR.replace("{price}", "p.price")).replace("STANDS", STANDS)
