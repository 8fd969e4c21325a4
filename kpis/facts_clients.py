"""Clients at given closes and what moved between them, as SQL: any interval, any groups of customers, by package.

The figures are those of the KPIs of customer dynamics, which ask for whole months. Parameters: `ids`, `keys`, `homes`
(customers with the number of their group and their currency), `firsts`, `closes` and `sinces` (lines: first day, day at
whose end they stand, first day of the active duration), `packages` (codes, none for any), `by_package`, `zone`, and the
instants `window` (the earliest of `sinces`), `starts` and `ends`.
"""

#: Customers with the number of their group; rows with first day, close and start of the active duration; packages held.
_HEAD = """
WITH mine AS MATERIALIZED (
    SELECT * FROM unnest(%(ids)s::bigint[], %(keys)s::int[], %(homes)s::text[]) AS m (id, key, home)
), line AS MATERIALIZED (
    SELECT * FROM unnest(%(firsts)s::date[], %(closes)s::date[], %(sinces)s::date[]) AS r (first, close, since)
), held AS MATERIALIZED (
    SELECT DISTINCT f.customer_id, r.close, CASE WHEN %(by_package)s THEN t.name ELSE '' END AS package
    FROM billing_feature f JOIN billing_featuretype t ON t.id = f.feature_type_id AND t.kind = 'package'
        AND (%(packages)s::text[] = '{}' OR t.code = ANY (%(packages)s::text[]))
    JOIN line r ON f.start_date <= r.close AND (f.end_date IS NULL OR f.end_date > r.close)
    WHERE f.reseller_id = ANY (%(resellers)s) AND f.quantity > 0
), place AS MATERIALIZED (
    SELECT m.id, m.key, m.home, r.first, r.close, r.since, coalesce(h.package, '') AS package
    FROM mine m CROSS JOIN line r LEFT JOIN held h ON h.customer_id = m.id AND h.close = r.close
    WHERE h.close IS NOT NULL OR %(packages)s::text[] = '{}'
)
"""

#: How many clients of each kind there are and what their balances are, at each close.
STOCKS = "".join(
    [
        _HEAD,
        """, paid AS MATERIALIZED (
    SELECT customer_id AS id, service_start AS day FROM billing_charge
    WHERE reseller_id = ANY (%(resellers)s) AND kind IN ('recurring', 'one_off') AND amount > 0
    UNION
    SELECT u.customer_id, (u.started_at AT TIME ZONE %(zone)s)::date FROM billing_call u
        WHERE u.reseller_id = ANY (%(resellers)s) AND u.state IN ('rated', 'zero')
        AND u.retail > 0 AND u.started_at >= %(window)s AND u.started_at < %(ends)s
    UNION
    SELECT m.id, (u.started_at AT TIME ZONE %(zone)s)::date FROM mine m CROSS JOIN LATERAL (
        SELECT u.started_at FROM billing_call u
            WHERE u.reseller_id = ANY (%(resellers)s) AND u.state IN ('rated', 'zero')
            AND u.customer_id = m.id AND u.retail > 0 AND u.started_at < %(window)s
        ORDER BY u.started_at LIMIT 1) u
), begun AS (
    SELECT id, min(day) AS day FROM (
        SELECT id, (created_at AT TIME ZONE %(zone)s)::date AS day FROM billing_customer
        WHERE reseller_id = ANY (%(resellers)s)
        UNION ALL SELECT * FROM paid
        UNION ALL SELECT customer_id, start_date FROM billing_numberassignment
        WHERE reseller_id = ANY (%(resellers)s)
        UNION ALL SELECT f.customer_id, f.start_date FROM billing_feature f
        JOIN billing_featuretype t ON t.id = f.feature_type_id AND t.interval <> 'once'
        WHERE f.reseller_id = ANY (%(resellers)s)
        UNION ALL SELECT customer_id, service_start FROM billing_charge
        WHERE reseller_id = ANY (%(resellers)s) AND kind <> 'credit'
        UNION ALL SELECT customer_id, received_date FROM billing_payment WHERE reseller_id = ANY (%(resellers)s)
        UNION ALL SELECT customer_id, date FROM billing_ledgerentry WHERE reseller_id = ANY (%(resellers)s)
        UNION ALL SELECT m.id, (u.started_at AT TIME ZONE %(zone)s)::date FROM mine m CROSS JOIN LATERAL (
            SELECT u.started_at FROM billing_call u
            WHERE u.reseller_id = ANY (%(resellers)s) AND u.state IN ('rated', 'zero')
            AND u.customer_id = m.id AND u.started_at < %(ends)s
            ORDER BY u.started_at LIMIT 1) u
    ) any_day GROUP BY id
), stood AS (
    SELECT id, close, last_paid FROM (
        SELECT id, close, max(paid) OVER (PARTITION BY id ORDER BY at) AS last_paid FROM (
            SELECT id, day AS at, day AS paid, NULL::date AS close FROM paid
            UNION ALL SELECT m.id, r.close, NULL, r.close FROM mine m CROSS JOIN line r
        ) steps
    ) walked WHERE close IS NOT NULL
), client AS MATERIALIZED (
    SELECT p.*, s.last_paid IS NOT NULL AS overall, coalesce(s.last_paid >= p.since, false) AS active
    FROM place p JOIN begun b ON b.id = p.id AND b.day <= p.close
    JOIN stood s ON s.id = p.id AND s.close = p.close
), moved AS (
    SELECT customer_id AS id, currency, date, -sum(amount) AS amount FROM billing_ledgerentry
    WHERE reseller_id = ANY (%(resellers)s) AND customer_id = ANY (%(ids)s) GROUP BY 1, 2, 3
), worth AS (
    SELECT id, currency, close, balance FROM (
        SELECT id, currency, close, sum(amount) OVER (PARTITION BY id, currency ORDER BY at) AS balance FROM (
            SELECT id, currency, date AS at, amount, NULL::date AS close FROM moved
            UNION ALL SELECT x.id, x.currency, r.close, 0, r.close
            FROM (SELECT DISTINCT id, currency FROM moved) x CROSS JOIN line r
        ) steps
    ) walked WHERE close IS NOT NULL AND balance <> 0
)
SELECT close, package, key, home, count(*) FILTER (WHERE active), count(*) FILTER (WHERE overall), count(*),
    0, 0, 0, 0, 0, 0
FROM client GROUP BY 1, 2, 3, 4
UNION ALL
SELECT c.close, c.package, c.key, w.currency, 0, 0, 0,
    coalesce(sum(greatest(w.balance, 0)) FILTER (WHERE c.active), 0),
    coalesce(sum(least(w.balance, 0)) FILTER (WHERE c.active), 0),
    coalesce(sum(greatest(w.balance, 0)) FILTER (WHERE c.overall), 0),
    coalesce(sum(least(w.balance, 0)) FILTER (WHERE c.overall), 0),
    sum(greatest(w.balance, 0)), sum(least(w.balance, 0))
FROM client c JOIN worth w ON w.id = c.id AND w.close = c.close GROUP BY 1, 2, 3, 4
""",
    ]
)
#: What moved on each day: refills, pay as you go (neither is a package's), activations and renewals.
MOVES = "".join(
    [
        _HEAD,
        """, called AS (
    SELECT u.customer_id, u.currency, (u.started_at AT TIME ZONE %(zone)s)::date AS day, sum(u.retail) AS retail
    FROM billing_call u
            WHERE u.reseller_id = ANY (%(resellers)s) AND u.state IN ('rated', 'zero')
 AND u.started_at >= %(starts)s AND u.started_at < %(ends)s GROUP BY 1, 2, 3
), entry AS (
    SELECT customer_id, currency, received_date AS day, 1 AS refills, amount AS refilled, 0::numeric AS payg
    FROM billing_payment WHERE reseller_id = ANY (%(resellers)s)
    UNION ALL SELECT customer_id, currency, reversed_date, 0, -amount, 0 FROM billing_payment
    WHERE reseller_id = ANY (%(resellers)s) AND reversed_date IS NOT NULL
    UNION ALL SELECT customer_id, currency, day, 0, 0, retail FROM called
), charge AS (
    SELECT h.customer_id, h.currency, h.service_start AS day, h.is_activation::int AS activations,
        CASE WHEN h.is_activation THEN h.amount ELSE 0 END AS activated, h.is_renewal::int AS renewals,
        CASE WHEN h.is_renewal THEN h.amount ELSE 0 END AS renewed,
        CASE WHEN %(by_package)s THEN coalesce(t.name, '') ELSE '' END AS package
    FROM billing_charge h LEFT JOIN billing_feature f ON f.id = h.feature_id
    LEFT JOIN billing_featuretype t ON t.id = f.feature_type_id AND t.kind = 'package'
    WHERE h.reseller_id = ANY (%(resellers)s) AND h.kind <> 'credit' AND (h.is_activation OR h.is_renewal)
        AND (%(packages)s::text[] = '{}' OR t.code = ANY (%(packages)s::text[]))
)
SELECT p.close, '', p.key, coalesce(nullif(e.currency, ''), p.home), e.day, sum(e.refills)::int, sum(e.refilled),
    sum(e.payg), 0, 0, 0, 0
FROM entry e JOIN place p ON p.id = e.customer_id AND e.day BETWEEN p.first AND p.close
WHERE NOT %(by_package)s GROUP BY 1, 2, 3, 4, 5
UNION ALL
SELECT r.close, h.package, m.key, h.currency, h.day, 0, 0, 0, sum(h.activations)::int, sum(h.activated),
    sum(h.renewals)::int, sum(h.renewed)
FROM charge h JOIN mine m ON m.id = h.customer_id JOIN line r ON h.day BETWEEN r.first AND r.close
GROUP BY 1, 2, 3, 4, 5
""",
    ]
)
