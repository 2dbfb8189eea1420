"""A page as tests ask about it: its words, forms and attributes; it judges nothing."""

from __future__ import annotations

from html.parser import HTMLParser

from flask.testing import FlaskClient

O1 = "/workflows/orders/instances/o-1"


class Page(HTMLParser):
    """The parts of a page that tests ask about."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.buttons: list[str] = []
        self.fields: set[str] = set()
        self.labels: set[str] = set()
        self.ids: list[str] = []
        self.headings: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attributes}
        self.attributes += [(tag, name, value) for name, value in values.items()]
        if "id" in values:
            self.ids.append(values["id"])
        if tag == "button" and values.get("name") == "action":
            self.buttons.append(values["value"])
        if tag in ("input", "textarea", "select"):
            self.fields.add(values["id"])
        if tag == "label":
            self.labels.add(values["for"])
        if tag in ("h1", "h2", "h3"):
            self.headings.append(tag)

    def links(self, part: str) -> list[str]:
        return [value for tag, name, value in self.attributes if (tag, name) == ("a", "href") and part in value]

    def handle_data(self, data: str) -> None:
        self.text += data


def page(http: FlaskClient, address: str) -> Page:
    response = http.get(address)
    assert response.status_code == 200
    return Page(response.text)


def words(text: str) -> str:
    return " ".join(text.split())
