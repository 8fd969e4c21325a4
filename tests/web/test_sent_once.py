"""A form is sent once, whatever is pressed while its answer is awaited; a page come back to can be sent again."""

from pathlib import Path

from playwright.sync_api import Browser, Page, Route

AT = "http://house.example/"
SCRIPT = Path(__file__).parents[2] / "static" / "js" / "page.js"
FORM = """<!doctype html><title>Form</title><script src="/page.js" type="module"></script>
<form method="post"><label>Name <input name="name"></label>
<button type="submit" name="do" value="apply">Apply</button>
<button type="submit" name="do" value="raise">Raise</button></form>
<form method="get"><button type="submit" name="show" value="1">Show</button></form>"""
HELD = "document.querySelectorAll('[aria-disabled=true]').length"
BACK = "window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))"


class House:
    """Shows the form; takes posts without a new page, as if the answer were still awaited."""

    def __init__(self, page: Page) -> None:
        self.posts: list[str | None] = []
        page.route("**/*", self.answer)

    def answer(self, route: Route) -> None:
        """Answer a request."""
        if route.request.method == "POST":
            self.posts.append(route.request.post_data)
            route.fulfill(status=204)
        elif route.request.url.endswith("page.js"):
            route.fulfill(body=SCRIPT.read_text(), content_type="text/javascript")
        else:
            route.fulfill(body=FORM, content_type="text/html")


def test_a_form_is_sent_once_until_the_page_is_come_back_to(chromium: Browser) -> None:
    page = chromium.new_page()
    house = House(page)
    page.goto(AT)
    page.get_by_role("button", name="Apply").click()
    page.get_by_label("Name").press("Enter")
    page.get_by_role("button", name="Raise").click(force=True)
    page.get_by_role("button", name="Apply").click(force=True)
    assert (house.posts, page.evaluate(HELD)) == (["name=&do=apply"], 2)
    page.evaluate(BACK)
    assert page.evaluate(HELD) == 0
    page.get_by_role("button", name="Raise").click()
    assert house.posts == ["name=&do=apply", "name=&do=raise"]
    page.close()


def test_a_question_may_be_asked_as_often_as_one_likes(chromium: Browser) -> None:
    page = chromium.new_page()
    House(page)
    page.goto(AT)
    for _ in range(2):
        page.get_by_role("button", name="Show").click()
        page.wait_for_url("**/?show=1")
    page.close()
