"""Reference cases whose semantics the product does not have, by reason; docs/oracle-cases.md says the same
in words.
"""

RATING = {
    "A second rate after so many seconds of the call": (
        "R023", "R024", "R037", "R039", "R044", "R111", "R193",
    ),
    "Rates by the minute of the hour, or by several charge components": ("R115", "R184", "R185"),
    "A connection fee for every band entered": ("R113",),
    "Each band rounded up on its own when a call is split": ("R182", "R183"),
    "Prepaid: a call refused or cut for lack of credit": ("R092", "R097", "R350", "R351"),
    "Allowances drawn before the call is rounded up to its increment, or by parts of a second": (
        "R200", "R202", "R238",
    ),
    "Graduated or all-units tiers over a period, minimum and maximum spend": (
        "R304", "R308", "R309", "R310", "R311", "R315", "R317", "R318", "R321", "R323", "R327", "R337",
    ),
}  # fmt: skip

PRORATION = {
    "Months of 28 days": ("P148",),
    "An interval of 30 days": ("P155", "P156"),
    "Upstream anomaly: three whole months priced by days": ("P151",),
    "Upstream anomaly: hours counted over a daylight-saving change": ("P238",),
    "The connection day is not charged": ("P259", "P260"),
    "Half a month by agreement, without dates": ("P263",),
}
