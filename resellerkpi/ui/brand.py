"""The reseller's accent colour as a style sheet of custom properties, legible on light and on dark ground."""

from django.http import HttpRequest, HttpResponse

LIGHT_GROUND, DARK_GROUND = "#ffffff", "#14181c"
ENOUGH, ENOUGH_ON_DARK = 4.6, 6.5

Rgb = tuple[int, int, int]


def rgb(colour: str) -> Rgb:
    """Read "#0f5c8c" as red, green and blue of 0 to 255."""
    digits = colour.lstrip("#")
    return int(digits[0:2], 16), int(digits[2:4], 16), int(digits[4:6], 16)


def luminance(colour: Rgb) -> float:
    """Return the relative luminance of 0 to 1 (WCAG 2.2)."""
    parts = [c / 255 for c in colour]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: Rgb, other: Rgb) -> float:
    """Return the contrast ratio of two colours, 1 to 21 (WCAG 2.2)."""
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def legible(colour: Rgb, ground: Rgb, enough: float = ENOUGH) -> Rgb:
    """Return the colour moved towards black or white until text in it can be read on the ground (AA)."""
    end = (0, 0, 0) if luminance(ground) > 0.5 else (255, 255, 255)
    for step in range(21):
        share = step / 20
        red, green, blue = (round(c + (e - c) * share) for c, e in zip(colour, end, strict=True))
        if contrast((red, green, blue), ground) >= enough:
            return red, green, blue
    return end


def style(colour: str) -> str:
    """Return the custom properties of an accent for both themes."""
    light = legible(rgb(colour), rgb(LIGHT_GROUND))
    dark = legible(rgb(colour), rgb(DARK_GROUND), ENOUGH_ON_DARK)
    on_light, on_dark = "#ffffff", "#0b0e11"
    day = f"--accent:{_hex(light)};--on-accent:{on_light};"
    night = f"--accent:{_hex(dark)};--on-accent:{on_dark};"
    return (
        f":root{{{day}}}\n"
        f"@media (prefers-color-scheme: dark){{:root:not([data-theme=light]){{{night}}}}}\n"
        f":root[data-theme=dark]{{{night}}}\n"
        f"@media print{{:root:root{{{day}}}}}\n"
    )


def _hex(colour: Rgb) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def stylesheet(request: HttpRequest, colour: str) -> HttpResponse:
    """Serve the accent's style sheet; the address carries the colour, so it is cached for ever."""
    response = HttpResponse(style(colour), content_type="text/css; charset=utf-8")
    response["Cache-Control"] = "public, max-age=31536000, immutable"
    return response
