"""The files of the live page: how they are served, and that they keep to the rules that protect them."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from .conftest import Administered

FILES = sorted(file.name for file in (resources.files("mralab.web") / "page").iterdir())
SCRIPTS = [name for name in FILES if name.endswith(".js")]
TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


def text_of(name: str) -> str:
    return (resources.files("mralab.web") / "page" / name).read_text("utf-8")


async def test_each_file_is_served_with_its_type_and_the_headers_that_protect_it(admin: Administered) -> None:
    for name in FILES:
        path = "/" if name == "index.html" else f"/page/{name}"
        async with admin.session.get(f"http://{admin.address}{path}") as response:
            assert (response.status, await response.text()) == (200, text_of(name))
            assert response.content_type == TYPES[name.rpartition(".")[2]]
            policy = response.headers["Content-Security-Policy"].split("; ")
            assert policy[:2] == ["default-src 'none'", "script-src 'self'"]
            assert {"base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"} < set(policy)
            assert "unsafe" not in response.headers["Content-Security-Policy"]
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["Referrer-Policy"] == "no-referrer"
            assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("HEAD", "/", 200),
        ("POST", "/", 405),
        ("GET", "/page/", 404),
        ("GET", "/page/index.html", 404),
        ("GET", "/page/../api.py", 404),
        ("GET", "/page/%2e%2e/api.py", 404),
    ],
)
async def test_nothing_else_is_served(admin: Administered, method: str, path: str, status: int) -> None:
    async with admin.session.request(method, f"http://{admin.address}{path}") as response:
        assert response.status == status


async def test_the_page_may_be_opened_by_a_person_and_not_by_another_page(admin: Administered) -> None:
    async def status(site: str) -> int:
        async with admin.session.get(f"http://{admin.address}/", headers={"Sec-Fetch-Site": site}) as response:
            return response.status

    assert [await status(site) for site in ("none", "same-origin", "cross-site")] == [200, 200, 403]


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_loaded_from_elsewhere(name: str) -> None:
    assert re.findall(r"(?:https?:)?//[\w.-]+\.\w+", text_of(name).replace("http://www.w3.org/2000/svg", "")) == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_script_makes_markup_or_code_of_text(name: str) -> None:
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser|srcdoc|setHTML"
    assert re.findall(forbidden, text_of(name)) == []


def test_each_script_is_imported_and_each_id_is_in_the_page() -> None:
    imported = set(re.findall(r'from "\./([\w.]+)"', "".join(map(text_of, SCRIPTS))))
    assert imported | {"main.js"} == set(SCRIPTS)
    used = set(re.findall(r'byId\("([\w-]+)"\)', "".join(map(text_of, SCRIPTS))))
    assert used - set(re.findall(r'id="([\w-]+)"', text_of("index.html"))) == set()
