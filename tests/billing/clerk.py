"""A clerk with a pocket calculator: works a price out from nothing but the sentences on a call's page.

Every figure is read out of the sentences; a sentence that names a wrong figure, or leaves one out, gives another price.
"""

import re
from fractions import Fraction
from math import ceil, floor

MONEY = r"(−?[\d,]+(?:\.\d+)?) [A-Z]{3}"
NEARLY = Fraction(1, 10**7)


def number(text: str) -> Fraction:
    """Read a figure as it is printed."""
    return Fraction(text.replace(",", "").replace("−", "-"))


class Page:
    """The sentences of a call's page, and what can be read in them."""

    def __init__(self, sentences: tuple[str, ...]) -> None:
        """Keep the sentences."""
        self.text = "\n".join(sentences)

    def figures(self, pattern: str) -> list[Fraction] | None:
        """Return the figures of the first sentence like the pattern, None when there is none."""
        found = re.search(pattern, self.text)
        return [number(each) for each in found.groups()] if found else None

    def figure(self, pattern: str, default: int = 0) -> Fraction:
        """Return the one figure of a sentence."""
        found = self.figures(pattern)
        return found[0] if found else Fraction(default)


def work_out(sentences: tuple[str, ...]) -> Fraction | None:
    """Return the price that the sentences amount to, None when they speak of no rate and no price."""
    page = Page(sentences)
    if "Its rate is found by" not in page.text:
        marked = page.figures(f"markup (?:of .* )?makes {MONEY}")
        return less_money(page, marked[0]) if marked else None
    is_voice = re.search(r"billed as|lasted no|not answered", page.text)
    usage, paying = voice(page) if is_voice else units(page)
    fee = page.figures(f"With the connection fee of {MONEY} that is (?:about )?{MONEY}")
    total = usage + (fee[0] if fee else 0)
    assert fee is None or abs(total - fee[1]) < NEARLY
    listed = page.figure(f"connection fee {MONEY}")
    assert (fee[0] if fee else 0) in (listed, 0)
    assert fee is not None or not paying or not listed
    return less_money(page, settle(page, total, paying))


def settle(page: Page, total: Fraction, paying: bool) -> Fraction:
    """Apply the minimum, the maximum and the rounding that the page names."""
    least, most = page.figures(f"at least {MONEY}"), page.figures(f"at most {MONEY}")
    price = max(total, least[0]) if least and paying else total
    assert (price > total) == ("The minimum charge of" in page.text)
    capped = min(price, most[0]) if most else price
    assert (capped < total) == ("The maximum charge of" in page.text)
    rounding = re.search(
        rf"Rounded (half up|half to even|up|down) to (\d+) decimal places: {MONEY}", page.text
    )
    if rounding is None:
        return capped
    places = 10 ** int(rounding[2])
    exact = capped * places
    whole = {
        "half up": floor(abs(exact) + Fraction(1, 2)) * (-1 if exact < 0 else 1),
        "half to even": round(exact),
        "up": ceil(exact),
        "down": floor(exact),
    }[rounding[1]]
    assert Fraction(whole, places) == number(rounding[3])
    return Fraction(whole, places)


def voice(page: Page) -> tuple[Fraction, bool]:
    """Return what the seconds cost, and whether any are paid for."""
    billing = page.figures(r"([\d,]+) s billed as ([\d,]+) s")
    if billing is None:
        return Fraction(0), False
    seconds, billed = billing
    pieces = re.search(r"The call crosses time bands: (.*) a minute\.", page.text)
    if pieces is None:
        assert billed == increments(page, seconds)
    covered = billed if "as one of its calls" in page.text else page.figure(r"([\d,.]+) s of it came out of")
    paid = billed - covered
    if pieces:
        parts = [
            (number(n), number(price)) for n, price in re.findall(rf"([\d,]+) s in .*? at {MONEY}", pieces[1])
        ]
        assert sum(n for n, _ in parts) == paid
        return sum((n * price / 60 for n, price in parts), Fraction(0)), paid > 0
    made = page.figures(rf"([\d,]+) s at {MONEY} a minute make (?:about )?{MONEY}")
    if made is None:
        assert paid == 0
        return Fraction(0), False
    assert made[0] == paid
    assert abs(made[2] - paid * made[1] / 60) < NEARLY
    assert made[1] == minute_price(page)
    return paid * made[1] / 60, True


def minute_price(page: Page) -> Fraction:
    """Return the price of a minute: that of the rate, and of a service charge the access charge on top."""
    service = page.figures(f"service charge {MONEY} a minute")
    if service is None:
        return page.figure(f": {MONEY} a minute")
    return service[0] + page.figure(f"to it comes {MONEY} a minute")


def increments(page: Page, seconds: Fraction) -> int:
    """Return the seconds billed by the rule of the rate."""
    free = page.figure(r"the first ([\d,]+) s free")
    steps = page.figures(r"first ([\d,]+) s, then steps of ([\d,]+) s")
    if steps is None:
        one = page.figure(r"in steps of ([\d,]+) s", default=1)
        steps = [one, one]
    net = max(seconds - free, Fraction(0))
    if not net:
        return 0
    return int(steps[0] + ceil(max(net - steps[0], Fraction(0)) / steps[1]) * steps[1])


def units(page: Page) -> tuple[Fraction, bool]:
    """Return what a message or the units of data cost, and whether any are paid for."""
    message = page.figures(f": {MONEY} a message")
    if message:
        paid = not re.search(r"The message came out of", page.text)
        return message[0] * paid, paid
    listed = page.figures(rf": {MONEY} for each ([\d,.]+) MB")
    assert listed
    summed = page.figures(
        r"with this session ([\d,.]+) MB are to be paid, before it ([\d,.]+) MB, so it adds ([\d,]+) unit"
    )
    if summed:
        after, before, count = summed
        assert count == ceil(after / listed[1]) - ceil(before / listed[1])
        return count * listed[0], count > 0
    volume, count = page.figures(r"([\d,.]+) MB are ([\d,]+) units of") or [Fraction(0), Fraction(0)]
    assert count == ceil(volume / listed[1])
    return count * listed[0], count > 0


def less_money(page: Page, price: Fraction) -> Fraction:
    """Take off what a money allowance paid."""
    return price - page.figure(rf"{MONEY} came out of the (?:money )?allowance")
