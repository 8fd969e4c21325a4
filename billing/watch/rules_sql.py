"""The rules of unusual usage as SQL over the kept hours; each gives the flagged hours with what they were held against.

Parameters of every text: `reseller`, the window [`first`, `until`), its history from `past`, the window of new
destinations from `since` with its history from `since_past`, and the figures of `Bounds`. Columns: id of the hour,
`peak` (what was usual at most), `known` (days of history of the line; NULL without any), `shared` (share in percent of
customers that know the destination; NULL where it is not asked).
"""

#: Data is left out of what is asked of a number: it is no call, and where its price is of a period, the whole of a
#: gigabyte falls on the session that begins it, which looks like a dear day and is none (docs/fraud.md).
#: Numbers worth a look: what they cost in the window passes the least sum, and one of its hours, days or destinations
#: passes what the rule asks at least. Most do not, and their past is never read.
LINES = """
WITH line AS MATERIALIZED (
    SELECT customer_id, number_id FROM (
        SELECT customer_id, coalesce(number_id, 0) AS number_id, sum(greatest(retail, cost)) AS worth,
            sum(greatest(retail, cost)) FILTER (WHERE kind IN ('abroad', 'premium')) AS dear,
            sum(calls) AS calls, sum(calls) FILTER (WHERE kind IN ('abroad', 'premium')) AS dear_calls
        FROM billing_usagehour
        WHERE reseller_id = %(reseller)s AND day >= %(first)s AND day < %(until)s AND kind <> 'data'
        GROUP BY customer_id, coalesce(number_id, 0), {part}
    ) part
    GROUP BY 1, 2 HAVING sum(worth) >= %(money)s AND {asks}
), hour AS MATERIALIZED (
    SELECT held.id, held.customer_id, line.number_id, held.day, held.slot, held.kind, held.calls,
        held.slot >= 120 AS weekend, held.slot %% 24 AS clock, greatest(held.retail, held.cost) AS worth
    FROM line
    JOIN billing_usagehour held ON held.reseller_id = %(reseller)s AND held.customer_id = line.customer_id
     AND coalesce(held.number_id, 0) = line.number_id AND held.day >= %(past)s AND held.day < %(until)s
     AND held.kind <> 'data'
), age AS (
    SELECT customer_id, number_id, %(first)s::date - min(day) AS known FROM hour WHERE day < %(first)s GROUP BY 1, 2
), begun AS (
    SELECT min(day) <= %(first)s::date - %(little)s AS enough FROM billing_usagehour
    WHERE reseller_id = %(reseller)s AND day >= %(past)s
)"""

#: Calls of an hour against the second busiest such hour (an hour to either side, same kind of day) and, as a Poisson
#: bound, against the mean of the same hour of the week; a line with little history against everybody's hours as well.
HOURS = """{lines}, told (grp, least) AS (
    VALUES ('dear', %(dear_calls)s), ('all', %(calls)s)
), counted AS MATERIALIZED (
    SELECT grp, customer_id, number_id, day, slot, weekend, clock, sum(calls) AS calls
    FROM hour JOIN told ON grp = 'all' OR kind IN ('abroad', 'premium')
    GROUP BY 1, 2, 3, 4, 5, 6, 7
), cell AS (
    SELECT counted.* FROM counted JOIN told USING (grp) WHERE day >= %(first)s AND calls >= least
), asked AS (
    SELECT DISTINCT grp, customer_id, number_id, weekend, clock FROM cell
), best AS (
    SELECT asked.*, past.day, max(past.calls) AS calls
    FROM asked CROSS JOIN generate_series(-1, 1) AS step
    JOIN counted past ON past.grp = asked.grp AND past.customer_id = asked.customer_id
     AND past.number_id = asked.number_id AND past.weekend = asked.weekend
     AND past.clock = (asked.clock + step + 24) %% 24 AND past.day < %(first)s
    GROUP BY 1, 2, 3, 4, 5, 6
), second AS (
    SELECT grp, customer_id, number_id, weekend, clock, calls AS peak
    FROM (SELECT *, row_number() OVER (PARTITION BY grp, customer_id, number_id, weekend, clock
                                       ORDER BY calls DESC) AS place FROM best) ranked
    WHERE place = 2
), mean AS (
    SELECT grp, customer_id, number_id, slot, sum(calls) / (%(history)s / 7.0) AS mean
    FROM counted WHERE day < %(first)s GROUP BY 1, 2, 3, 4
), everybody AS (
    SELECT grp, slot >= 120 AS weekend, slot %% 24 AS clock,
        percentile_disc(0.995) WITHIN GROUP (ORDER BY calls) AS peak
    FROM (
        SELECT grp, slot, sum(calls) AS calls FROM billing_usagehour
        JOIN told ON grp = 'all' OR kind IN ('abroad', 'premium')
        WHERE reseller_id = %(reseller)s AND day >= %(first)s::date - %(little)s AND day < %(first)s AND kind <> 'data'
          AND EXISTS (SELECT FROM line LEFT JOIN age USING (customer_id, number_id)
                      WHERE coalesce(known, 0) < %(little)s)
        GROUP BY grp, customer_id, number_id, day, slot
    ) one GROUP BY 1, 2, 3
), held AS (
    SELECT cell.*, age.known, mean.mean,
        CASE WHEN coalesce(age.known, 0) >= %(little)s THEN coalesce(second.peak, 0)
             ELSE greatest(second.peak, everybody.peak, 0) END AS peak
    FROM cell
    LEFT JOIN age USING (customer_id, number_id)
    LEFT JOIN second USING (grp, customer_id, number_id, weekend, clock)
    LEFT JOIN mean USING (grp, customer_id, number_id, slot)
    LEFT JOIN everybody USING (grp, weekend, clock)
    CROSS JOIN begun WHERE begun.enough
), odd AS (
    SELECT * FROM held
    WHERE calls > %(times)s * peak AND calls > coalesce(mean, 0) + %(spread)s * sqrt(coalesce(mean, 0) + 1)
)
SELECT 'hours_' || odd.grp AS rule, hour.id, odd.peak::numeric, odd.known, NULL::numeric AS shared
FROM odd JOIN hour USING (customer_id, number_id, day, slot)
WHERE odd.grp = 'all' OR hour.kind IN ('abroad', 'premium')
"""

#: Money of a day against the number's second dearest day.
DAYS = """{lines}, spent AS (
    SELECT customer_id, number_id, day, sum(worth) AS worth FROM hour GROUP BY 1, 2, 3
), second AS (
    SELECT customer_id, number_id, worth AS peak
    FROM (SELECT *, row_number() OVER (PARTITION BY customer_id, number_id ORDER BY worth DESC) AS place
          FROM spent WHERE day < %(first)s) ranked
    WHERE place = 2
), everybody AS (
    SELECT percentile_disc(0.995) WITHIN GROUP (ORDER BY worth) AS peak
    FROM (
        SELECT sum(greatest(retail, cost)) AS worth FROM billing_usagehour
        WHERE reseller_id = %(reseller)s AND day >= %(first)s::date - %(little)s AND day < %(first)s AND kind <> 'data'
          AND EXISTS (SELECT FROM line LEFT JOIN age USING (customer_id, number_id)
                      WHERE coalesce(known, 0) < %(little)s)
        GROUP BY customer_id, number_id, day
    ) one
), odd AS (
    SELECT spent.customer_id, spent.number_id, spent.day, age.known,
        CASE WHEN coalesce(age.known, 0) >= %(little)s THEN coalesce(second.peak, 0)
             ELSE greatest(second.peak, everybody.peak, 0) END AS peak, spent.worth
    FROM spent
    LEFT JOIN age USING (customer_id, number_id) LEFT JOIN second USING (customer_id, number_id)
    CROSS JOIN everybody CROSS JOIN begun
    WHERE begun.enough AND spent.day >= %(first)s AND spent.worth >= %(day_money)s
)
SELECT 'day' AS rule, hour.id, odd.peak::numeric, odd.known, NULL::numeric AS shared
FROM odd JOIN hour USING (customer_id, number_id, day)
WHERE odd.worth > %(day_times)s * odd.peak
"""

#: Destinations that a customer called for the first time in three months, and what they came to.
DESTINATIONS = """
WITH recent AS (
    SELECT customer_id, destination, min(day) AS begun, sum(calls) AS calls, sum(greatest(retail, cost)) AS worth
    FROM billing_usagehour
    WHERE reseller_id = %(reseller)s AND day >= %(since)s AND day < %(until)s AND kind IN ('abroad', 'premium')
    GROUP BY 1, 2
    HAVING sum(calls) >= %(destination_calls)s AND sum(greatest(retail, cost)) >= %(money)s
), fresh AS (
    SELECT recent.* FROM recent WHERE NOT EXISTS (
        SELECT FROM billing_usagehour past
        WHERE past.reseller_id = %(reseller)s AND past.destination = recent.destination
          AND past.kind IN ('abroad', 'premium') AND past.day >= %(since_past)s AND past.day < %(since)s
          AND past.customer_id = recent.customer_id)
), age AS (
    SELECT past.customer_id, %(since)s::date - min(past.day) AS known
    FROM (SELECT DISTINCT customer_id FROM fresh) asked
    JOIN billing_usagehour past ON past.reseller_id = %(reseller)s AND past.customer_id = asked.customer_id
     AND past.day >= %(since_past)s AND past.day < %(since)s
    GROUP BY 1
), callers AS (
    SELECT past.destination, count(DISTINCT past.customer_id) AS customers
    FROM (SELECT DISTINCT destination FROM fresh) asked
    JOIN billing_usagehour past ON past.reseller_id = %(reseller)s AND past.destination = asked.destination
     AND past.kind IN ('abroad', 'premium') AND past.day >= %(since_past)s AND past.day < %(since)s
    GROUP BY 1
), everybody AS (
    SELECT count(DISTINCT customer_id) AS customers, min(day) <= %(since)s::date - %(little)s AS enough
    FROM billing_usagehour
    WHERE reseller_id = %(reseller)s AND day >= %(since)s::date - %(little)s - 1 AND day < %(since)s
), judged AS (
    SELECT fresh.*, age.known, coalesce(age.known, 0) < %(little)s AS little,
        100.0 * coalesce(callers.customers, 0) / nullif(everybody.customers, 0) AS shared
    FROM fresh LEFT JOIN age USING (customer_id) LEFT JOIN callers USING (destination) CROSS JOIN everybody
    WHERE everybody.enough
)
SELECT 'destination' AS rule, hour.id, 0::numeric AS peak, judged.known, judged.shared
FROM judged
JOIN billing_usagehour hour ON hour.reseller_id = %(reseller)s AND hour.customer_id = judged.customer_id
 AND hour.destination = judged.destination AND hour.day >= %(since)s AND hour.day < %(until)s
 AND hour.kind IN ('abroad', 'premium')
WHERE CASE WHEN little AND shared >= %(common)s THEN false
           WHEN little OR shared >= %(common)s THEN judged.worth >= %(common_times)s * %(money)s
           ELSE true END
"""

#: Numbers that had been in service for four weeks or more without a call, and then called dear destinations.
SILENCE = """{lines}, woken AS (
    SELECT customer_id, number_id, min(day) FILTER (WHERE day >= %(first)s) AS begun
    FROM hour WHERE number_id > 0
    GROUP BY 1, 2 HAVING count(*) FILTER (WHERE day < %(first)s AND day >= %(first)s::date - %(little)s) = 0
), old AS (
    SELECT woken.* FROM woken CROSS JOIN begun
    WHERE begun.enough AND EXISTS (
        SELECT FROM billing_numberassignment held
        WHERE held.reseller_id = %(reseller)s AND held.number_id = woken.number_id
          AND held.customer_id = woken.customer_id AND held.start_date <= %(first)s::date - %(little)s)
), odd AS (
    SELECT old.customer_id, old.number_id, old.begun
    FROM old JOIN hour USING (customer_id, number_id)
    WHERE hour.day >= old.begun AND hour.day < old.begun + 3 AND hour.kind IN ('abroad', 'premium')
    GROUP BY 1, 2, 3 HAVING sum(hour.worth) >= 2 * %(money)s
)
SELECT 'silence' AS rule, hour.id, 0::numeric AS peak, age.known, NULL::numeric AS shared
FROM odd JOIN hour USING (customer_id, number_id) LEFT JOIN age USING (customer_id, number_id)
WHERE hour.day >= odd.begun AND hour.day < odd.begun + 3
"""

#: Many numbers that call one dear destination on a day on which few ever did: missed calls that bait a call back.
CALLBACKS = """
WITH called AS (
    SELECT destination, day, count(DISTINCT (customer_id, number_id)) AS lines
    FROM billing_usagehour
    WHERE reseller_id = %(reseller)s AND day >= %(first)s AND day < %(until)s AND kind IN ('abroad', 'premium')
    GROUP BY 1, 2 HAVING count(DISTINCT (customer_id, number_id)) >= %(lines)s
), past AS (
    SELECT destination, day, count(DISTINCT (customer_id, number_id)) AS lines
    FROM (SELECT DISTINCT destination FROM called) asked JOIN billing_usagehour held USING (destination)
    WHERE held.reseller_id = %(reseller)s AND held.day >= %(past)s AND held.day < %(first)s
      AND held.kind IN ('abroad', 'premium')
    GROUP BY 1, 2
), second AS (
    SELECT destination, lines AS peak
    FROM (SELECT *, row_number() OVER (PARTITION BY destination ORDER BY lines DESC) AS place FROM past) ranked
    WHERE place = 2
), begun AS (
    SELECT min(day) <= %(first)s::date - %(little)s AS enough FROM billing_usagehour
    WHERE reseller_id = %(reseller)s AND day >= %(past)s
)
SELECT 'callback' AS rule, hour.id, coalesce(second.peak, 0)::numeric AS peak, NULL::int AS known,
    NULL::numeric AS shared
FROM called LEFT JOIN second USING (destination) CROSS JOIN begun
JOIN billing_usagehour hour ON hour.reseller_id = %(reseller)s AND hour.destination = called.destination
 AND hour.day = called.day AND hour.kind IN ('abroad', 'premium')
WHERE begun.enough AND called.lines > 3 * coalesce(second.peak, 0)
"""


def _of_lines(text: str, part: str, asks: str) -> str:
    return text.replace("{lines}", LINES.replace("{part}", part).replace("{asks}", asks))


RULES = (
    _of_lines(HOURS, "day, slot", "(max(dear_calls) >= %(dear_calls)s OR max(calls) >= %(calls)s)"),
    _of_lines(DAYS, "day", "max(worth) >= %(day_money)s"),
    DESTINATIONS,
    _of_lines(SILENCE, "day", "sum(dear) >= 2 * %(money)s"),
    CALLBACKS,
)
