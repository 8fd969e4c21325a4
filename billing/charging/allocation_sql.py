"""The statements that find what carriers' charges are for; billing.charging.allocation says what they do.

The sources are what is read of the book: common table expressions for one charge, for many temporary tables whose sizes
the database knows, so that it joins them by hashing however fresh the book is.
"""

#: The same as key() in Python.
_KEY = "upper(regexp_replace({}, '[\\s().\\-/\\u00a0]+', '', 'g'))"
_ALWAYS = "DATE '-infinity', NULL::date"

SOURCES = {
    "wanted": """
        SELECT charge.id, invoice.carrier_id, charge.reference, charge.product, charge.service_start AS first,
            charge.service_end AS until
        FROM billing_carriercharge charge
        JOIN billing_carrierinvoice invoice ON invoice.id = charge.invoice_id AND invoice.reseller_id = %(reseller)s
        WHERE charge.reseller_id = %(reseller)s AND charge.id = ANY (%(charges)s)
    """,
    "name": """
        SELECT carrier_id, reference, name
        FROM unnest(%(carriers)s::bigint[], %(references)s::text[], %(names)s::text[])
            given (carrier_id, reference, name)
    """,
    "book": f"""
        SELECT {_KEY.format("reference")} AS name, 'supply' AS kind, carrier_id, number_id, feature_id, start_date,
            end_date
        FROM billing_supply WHERE reseller_id = %(reseller)s AND reference <> ''
        UNION ALL
        SELECT {_KEY.format("number")}, 'number', NULL, id, NULL, {_ALWAYS}
        FROM billing_number WHERE reseller_id = %(reseller)s
        UNION ALL
        SELECT {_KEY.format("identity")}, 'identity', NULL, number_id, NULL, {_ALWAYS}
        FROM billing_numberidentity WHERE reseller_id = %(reseller)s
        UNION ALL
        SELECT {_KEY.format("reference")}, 'feature', NULL, NULL, id, {_ALWAYS}
        FROM billing_feature WHERE reseller_id = %(reseller)s AND reference <> ''
    """,  # noqa: S608  our own expressions
    "held": """
        SELECT number_id, customer_id, start_date, end_date FROM billing_numberassignment
        WHERE reseller_id = %(reseller)s
    """,
    "feature": """
        SELECT feature.id, feature.continues_id, feature.customer_id, feature.number_id, feature.start_date,
            feature.end_date, lower(type.carrier_product) AS product, type.carrier_id
        FROM billing_feature feature JOIN billing_featuretype type ON type.id = feature.feature_type_id
        WHERE feature.reseller_id = %(reseller)s
    """,
}

_RUNS = "{0}.start_date < wanted.until AND ({0}.end_date IS NULL OR {0}.end_date > wanted.first)"

_FOUND = f"""
later AS (
    SELECT continues_id AS first_id, id FROM allocation_feature WHERE continues_id IS NOT NULL
    UNION ALL
    SELECT later.first_id, feature.id FROM later JOIN allocation_feature feature ON feature.continues_id = later.id
), service AS MATERIALIZED (
    SELECT DISTINCT wanted.id, book.number_id, book.feature_id
    FROM allocation_wanted wanted
    JOIN allocation_name name ON name.carrier_id = wanted.carrier_id AND name.reference = wanted.reference
    JOIN allocation_book book ON book.name = name.name AND {_RUNS.format("book")}
        AND (book.carrier_id IS NULL OR book.carrier_id = wanted.carrier_id)
), running AS MATERIALIZED (
    SELECT wanted.id, feature.id AS feature_id, feature.continues_id, feature.customer_id, feature.number_id
    FROM (SELECT id, feature_id FROM service WHERE feature_id IS NOT NULL
        UNION SELECT service.id, later.id FROM service JOIN later ON later.first_id = service.feature_id) named
    JOIN allocation_wanted wanted ON wanted.id = named.id
    JOIN allocation_feature feature ON feature.id = named.feature_id AND {_RUNS.format("feature")}
), whose AS MATERIALIZED (
    SELECT service.id, held.customer_id, service.number_id, NULL::bigint AS feature_id
    FROM service JOIN allocation_wanted wanted ON wanted.id = service.id
    LEFT JOIN allocation_held held ON held.number_id = service.number_id AND {_RUNS.format("held")}
    WHERE service.number_id IS NOT NULL
    UNION
    SELECT running.id, running.customer_id, running.number_id, running.feature_id
    FROM running LEFT JOIN running before ON before.id = running.id AND before.feature_id = running.continues_id
    WHERE before.id IS NULL
), fits AS MATERIALIZED (
    SELECT whose.id, whose.customer_id, whose.number_id, feature.id AS feature_id, feature.continues_id
    FROM whose JOIN allocation_wanted wanted ON wanted.id = whose.id
    JOIN allocation_feature feature ON feature.number_id = whose.number_id
        AND feature.customer_id = whose.customer_id AND feature.product = lower(wanted.product)
        AND {_RUNS.format("feature")} AND (feature.carrier_id IS NULL OR feature.carrier_id = wanted.carrier_id)
    WHERE whose.feature_id IS NULL AND wanted.product <> ''
), product AS MATERIALIZED (
    SELECT fits.id, fits.customer_id, fits.number_id, min(fits.feature_id) AS feature_id
    FROM fits LEFT JOIN fits before ON before.id = fits.id AND before.feature_id = fits.continues_id
    WHERE before.id IS NULL
    GROUP BY 1, 2, 3 HAVING count(*) = 1
), candidate AS MATERIALIZED (
    SELECT DISTINCT whose.id, whose.customer_id, whose.number_id,
        coalesce(whose.feature_id, product.feature_id) AS feature_id
    FROM whose LEFT JOIN product ON product.id = whose.id AND product.customer_id = whose.customer_id
        AND product.number_id = whose.number_id
), finer AS MATERIALIZED (
    SELECT DISTINCT id, customer_id, number_id FROM candidate WHERE feature_id IS NOT NULL
), found AS MATERIALIZED (
    SELECT candidate.id, candidate.customer_id, candidate.number_id, candidate.feature_id
    FROM candidate LEFT JOIN finer ON finer.id = candidate.id AND finer.customer_id = candidate.customer_id
        AND finer.number_id = candidate.number_id
    WHERE candidate.feature_id IS NOT NULL OR finer.id IS NULL
)
"""  # noqa: S608  our own expressions

_SOURCES = ", ".join(f"allocation_{name} AS MATERIALIZED ({source})" for name, source in SOURCES.items())

#: What charges may be for: (charge, customer, number, feature).
CANDIDATES = f"""
WITH RECURSIVE {_SOURCES}, {_FOUND} SELECT id, customer_id, number_id, feature_id FROM found
"""  # noqa: S608  our own expressions

PREPARE = [
    statement
    for name, source in SOURCES.items()
    for statement in (
        f"CREATE TEMP TABLE allocation_{name} ON COMMIT DROP AS {source}",
        f"ANALYZE allocation_{name}",
    )
]
CLEAR = "DROP TABLE " + ", ".join(f"allocation_{name}" for name in SOURCES)

#: Allocates what has one candidate, and says of the rest why it is open; returns for each whether it is allocated.
ALLOCATE = f"""
WITH RECURSIVE {_FOUND}, sums AS MATERIALIZED (
    SELECT id, count(*) AS candidates,
        count(number_id) = count(*) AND min(number_id) = max(number_id) AND min(customer_id) <> max(customer_id)
            AS changed_hands,
        min(customer_id) AS customer_id, min(number_id) AS number_id, min(feature_id) AS feature_id
    FROM found GROUP BY id
), known AS MATERIALIZED (
    SELECT DISTINCT name.carrier_id, name.reference
    FROM allocation_name name
    JOIN allocation_book book ON book.name = name.name AND book.kind IN ('supply', 'feature')
        AND (book.carrier_id IS NULL OR book.carrier_id = name.carrier_id)
)
UPDATE billing_carriercharge charge SET
    state = CASE WHEN sums.candidates = 1 THEN 'allocated' ELSE 'open' END,
    found = CASE WHEN sums.candidates = 1 THEN 'reference' ELSE '' END,
    customer_id = CASE WHEN sums.candidates = 1 THEN sums.customer_id END,
    number_id = CASE WHEN sums.candidates = 1 THEN sums.number_id END,
    feature_id = CASE WHEN sums.candidates = 1 THEN sums.feature_id END,
    reason = CASE
        WHEN sums.candidates = 1 THEN ''
        WHEN sums.candidates > 1 AND sums.changed_hands THEN %(changed_hands)s
        WHEN sums.candidates > 1 THEN %(several)s
        WHEN wanted.reference = '' THEN %(no_reference)s
        WHEN known.reference IS NOT NULL THEN %(not_then)s
        ELSE %(unknown)s END
FROM allocation_wanted wanted
LEFT JOIN sums ON sums.id = wanted.id
LEFT JOIN known ON known.carrier_id = wanted.carrier_id AND known.reference = wanted.reference
WHERE charge.id = wanted.id AND charge.reseller_id = %(reseller)s
RETURNING charge.state = 'allocated'
"""  # noqa: S608  our own expressions
