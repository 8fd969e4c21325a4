"""The statements that find what carriers' charges are for; billing.charging.allocation says what they do."""

#: The same as key() in SQL.
_KEY = "upper(regexp_replace({}, '[\\s().\\-/\\u00a0]+', '', 'g'))"
_HELD = "{0}.start_date < wanted.until AND ({0}.end_date IS NULL OR {0}.end_date > wanted.first)"

CANDIDATES = f"""
WITH RECURSIVE wanted AS MATERIALIZED (
    SELECT charge.id, invoice.carrier_id, charge.product, charge.service_start AS first, charge.service_end AS until,
        named.names
    FROM billing_carriercharge charge
    JOIN billing_carrierinvoice invoice ON invoice.id = charge.invoice_id AND invoice.reseller_id = %(reseller)s
    JOIN (SELECT carrier_id, reference, array_agg(name) AS names
        FROM unnest(%(carriers)s::bigint[], %(references)s::text[], %(names)s::text[])
            given (carrier_id, reference, name)
        GROUP BY 1, 2) named ON named.carrier_id = invoice.carrier_id AND named.reference = charge.reference
    WHERE charge.reseller_id = %(reseller)s AND charge.id = ANY (%(charges)s)
), names AS MATERIALIZED (
    SELECT wanted.id, wanted.carrier_id, wanted.first, wanted.until, unnest(wanted.names) AS name FROM wanted
), later AS (
    SELECT feature.continues_id AS first_id, feature.id FROM billing_feature feature
    WHERE feature.reseller_id = %(reseller)s AND feature.continues_id IS NOT NULL
    UNION ALL
    SELECT later.first_id, feature.id FROM later JOIN billing_feature feature ON feature.continues_id = later.id
    WHERE feature.reseller_id = %(reseller)s
), service AS (
    SELECT wanted.id, supply.number_id, supply.feature_id FROM names wanted
    JOIN billing_supply supply ON {_KEY.format("supply.reference")} = wanted.name
        AND supply.carrier_id = wanted.carrier_id AND {_HELD.format("supply")}
    WHERE supply.reseller_id = %(reseller)s AND supply.reference <> ''
    UNION
    SELECT wanted.id, number.id, NULL FROM names wanted
    JOIN billing_number number ON {_KEY.format("number.number")} = wanted.name
    WHERE number.reseller_id = %(reseller)s
    UNION
    SELECT wanted.id, identity.number_id, NULL FROM names wanted
    JOIN billing_numberidentity identity ON {_KEY.format("identity.identity")} = wanted.name
    WHERE identity.reseller_id = %(reseller)s
    UNION
    SELECT wanted.id, NULL, feature.id FROM names wanted
    JOIN billing_feature feature ON {_KEY.format("feature.reference")} = wanted.name
    WHERE feature.reseller_id = %(reseller)s AND feature.reference <> ''
), running AS (
    SELECT wanted.id, feature.id AS feature_id, feature.continues_id, feature.customer_id, feature.number_id
    FROM (SELECT id, feature_id FROM service WHERE feature_id IS NOT NULL
        UNION SELECT service.id, later.id FROM service JOIN later ON later.first_id = service.feature_id) named
    JOIN wanted ON wanted.id = named.id
    JOIN billing_feature feature ON feature.id = named.feature_id AND {_HELD.format("feature")}
    WHERE feature.reseller_id = %(reseller)s
), whose AS MATERIALIZED (
    SELECT service.id, held.customer_id, service.number_id, NULL::bigint AS feature_id
    FROM service JOIN wanted ON wanted.id = service.id
    LEFT JOIN billing_numberassignment held ON held.number_id = service.number_id AND held.reseller_id = %(reseller)s
        AND {_HELD.format("held")}
    WHERE service.number_id IS NOT NULL
    UNION
    SELECT id, customer_id, number_id, feature_id FROM running
    WHERE NOT EXISTS (SELECT FROM running before WHERE before.id = running.id
        AND before.feature_id = running.continues_id)
), fits AS (
    SELECT whose.id, whose.customer_id, whose.number_id, feature.id AS feature_id, feature.continues_id
    FROM whose JOIN wanted ON wanted.id = whose.id
    JOIN billing_feature feature ON feature.customer_id = whose.customer_id AND feature.number_id = whose.number_id
        AND {_HELD.format("feature")}
    JOIN billing_featuretype type ON type.id = feature.feature_type_id
        AND lower(type.carrier_product) = lower(wanted.product)
        AND (type.carrier_id IS NULL OR type.carrier_id = wanted.carrier_id)
    WHERE feature.reseller_id = %(reseller)s AND whose.feature_id IS NULL AND wanted.product <> ''
), product AS (
    SELECT id, customer_id, number_id, min(feature_id) AS feature_id FROM fits
    WHERE NOT EXISTS (SELECT FROM fits before WHERE before.id = fits.id AND before.feature_id = fits.continues_id)
    GROUP BY id, customer_id, number_id HAVING count(*) = 1
), candidate AS MATERIALIZED (
    SELECT DISTINCT whose.id, whose.customer_id, whose.number_id, coalesce(whose.feature_id, product.feature_id)
        AS feature_id
    FROM whose LEFT JOIN product ON product.id = whose.id AND product.customer_id = whose.customer_id
        AND product.number_id = whose.number_id
)
SELECT id, customer_id, number_id, feature_id FROM candidate
WHERE feature_id IS NOT NULL OR NOT EXISTS (SELECT FROM candidate finer WHERE finer.id = candidate.id
    AND finer.number_id = candidate.number_id AND finer.customer_id = candidate.customer_id
    AND finer.feature_id IS NOT NULL)
"""  # noqa: S608  our own expressions

#: Charges whose reference was something's in other days: a supply or a feature that had ended or not begun.
_KNOWN = f"""
SELECT DISTINCT charge.id
FROM billing_carriercharge charge
JOIN billing_carrierinvoice invoice ON invoice.id = charge.invoice_id AND invoice.reseller_id = %(reseller)s
JOIN unnest(%(carriers)s::bigint[], %(references)s::text[], %(names)s::text[]) named (carrier_id, reference, name)
    ON named.carrier_id = invoice.carrier_id AND named.reference = charge.reference
JOIN (
    SELECT {_KEY.format("reference")} AS name, carrier_id FROM billing_supply
    WHERE reseller_id = %(reseller)s AND reference <> ''
    UNION
    SELECT {_KEY.format("reference")}, NULL FROM billing_feature WHERE reseller_id = %(reseller)s AND reference <> ''
) book ON book.name = named.name AND (book.carrier_id IS NULL OR book.carrier_id = invoice.carrier_id)
WHERE charge.reseller_id = %(reseller)s AND charge.id = ANY (%(charges)s)
"""  # noqa: S608  our own expressions

ALLOCATE = f"""
WITH found AS ({CANDIDATES}),
sums AS (
    SELECT id, count(*) AS candidates,
        count(number_id) = count(*) AND min(number_id) = max(number_id) AND min(customer_id) <> max(customer_id)
            AS changed_hands,
        min(customer_id) AS customer_id, min(number_id) AS number_id, min(feature_id) AS feature_id
    FROM found GROUP BY id
), known AS ({_KNOWN})
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
        WHEN charge.reference = '' THEN %(no_reference)s
        WHEN known.id IS NOT NULL THEN %(not_then)s
        ELSE %(unknown)s END
FROM (SELECT unnest(%(charges)s::bigint[]) AS id) all_of
LEFT JOIN sums ON sums.id = all_of.id
LEFT JOIN known ON known.id = all_of.id
WHERE charge.id = all_of.id AND charge.reseller_id = %(reseller)s
RETURNING charge.state = 'allocated'
"""  # noqa: S608  our own expressions
