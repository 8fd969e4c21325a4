"""Reference cases of money whose semantics the product does not have, by reason; docs/oracle-cases-money.md says
the same in words.
"""

TAX = {
    "A fixed amount of tax, or tax that is withheld": ("T010", "T011", "T085"),
    "A minimum commitment made up at the end of a period": ("T046", "T048"),
    "A discount of a fixed amount, of thousandths of a per cent or of more than the price, or shown by itself": (
        "T063", "T066", "T071", "T072", "T073", "T076", "T077", "T079", "T097",
    ),
    "An advance with four decimals": ("T087",),
    "Prices that include VAT: the product's are before VAT": (
        "T110", "T111", "T113", "T114", "T122", "T123", "T133", "T134", "T150", "T157", "T199",
    ),
    "A line taxed at the weighted mean of other lines' rates": ("T153",),
    "VAT that is not rounded at all": ("T177",),
    "VAT rounded down": ("T194",),
    "A currency whose minor unit the source leaves out against its own register": ("T224",),
    "Behaviour upstream, with nothing to compute": ("T136", "T173", "T174"),
}  # fmt: skip

ALLOCATION = {
    "Deposits that are frozen until they are released": ("L009", "L011", "L015", "L017"),
    "Instalment plans of one debt": ("L023", "L025", "L026"),
    "A document whose amount is corrected in place: the product credits and bills again": ("L029", "L030"),
    "Money shared out in proportion": ("L053", "L054"),
}

AGEING = {
    "Items converted into another currency": ("A005",),
    "Upstream anomaly: a debt of 40 days among those of 30, a receipt that adds to the debt": (
        "A013",
        "A036",
    ),
    "A forecast of cash": ("A018", "A019"),
    "Buckets that begin at multiples of 30": ("A070", "A071", "A073", "A076"),
    "A credit note over the instalments of one invoice": ("A050",),
}
