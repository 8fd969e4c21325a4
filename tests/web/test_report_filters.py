"""The filters of a report's form: those in force are shown, others are found by name, added and taken away."""

from pathlib import Path

from playwright.sync_api import Browser, Route, expect

SCRIPT = Path(__file__).parents[2] / "static" / "js" / "reports.js"
FORM = """<!doctype html><title>Form</title><script src="/reports.js" type="module"></script><form method="get">
<fieldset data-filters>
<div data-filter data-set><label for="a">Dealer</label><input id="a" name="dealer" value="D1">
  <button type="button" class="filter-remove" hidden aria-label="Remove the filter Dealer">x</button></div>
<div data-filter><label for="b">Segment</label><select id="b" name="segment"><option value="">Any</option>
  <option value="gold">Gold</option></select>
  <button type="button" class="filter-remove" hidden aria-label="Remove the filter Segment">x</button></div>
<div data-filter><input type="checkbox" id="c" name="zero"><label for="c">Suppress zero values</label>
  <button type="button" class="filter-remove" hidden aria-label="Remove Suppress zero values">x</button></div>
<details class="filter-add" hidden><summary>Add a filter</summary><label for="q">Find a filter</label>
  <input type="search" id="q"><p hidden>No filter has that name.</p></details>
</fieldset><button type="submit">Run</button></form>"""


def answer(route: Route) -> None:
    """Serve the form and its script."""
    if route.request.url.endswith("reports.js"):
        route.fulfill(body=SCRIPT.read_text(), content_type="text/javascript")
    else:
        route.fulfill(body=FORM, content_type="text/html")


def test_filters_are_found_added_and_taken_away(chromium: Browser) -> None:
    page = chromium.new_page()
    page.route("**/*", answer)
    page.goto("http://house.example/")
    expect(page.get_by_label("Dealer", exact=True)).to_be_visible()
    expect(page.get_by_label("Segment", exact=True)).to_be_hidden()
    page.get_by_text("Add a filter").click()
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.get_by_role("searchbox").fill("nonsense")
    expect(page.get_by_text("No filter has that name.")).to_be_visible()
    page.get_by_role("searchbox").fill("SEG")
    expect(page.get_by_role("listitem")).to_have_count(1)
    page.get_by_role("searchbox").press("Enter")
    expect(page.get_by_label("Segment", exact=True)).to_be_focused()
    page.get_by_label("Segment", exact=True).select_option("gold")
    page.get_by_role("button", name="Remove the filter Dealer").click()
    expect(page.get_by_label("Dealer", exact=True)).to_be_hidden()
    page.get_by_text("Add a filter").click()
    page.get_by_role("button", name="Suppress zero values", exact=True).click()
    page.get_by_role("button", name="Run").click()
    page.wait_for_url("**/?dealer=&segment=gold&zero=on")
    page.close()


def test_every_filter_is_shown_without_the_script(chromium: Browser) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.route("**/*", answer)
    page.goto("http://house.example/")
    for name in ("Dealer", "Segment", "Suppress zero values"):
        expect(page.get_by_label(name, exact=True)).to_be_visible()
    expect(page.get_by_text("Add a filter")).to_be_hidden()
    context.close()
