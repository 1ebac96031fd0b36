"""The examples of docs/how-to/use-in-a-site.md are run, in a browser and under the policy the page names."""

import re

import pytest
from site_of_pages import CSP, HERE, ROOT, until

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

PAGE = (ROOT / "docs/how-to/use-in-a-site.md").read_text("utf-8")
EXAMPLES = dict(re.findall(r"^```(html|js|jsx)\n(.+?)^```$", PAGE, re.DOTALL | re.MULTILINE))
SCRIPT = b'<!doctype html><button id="now">Now</button><script type="module" src="/page/example-script.js"></script>'


@pytest.mark.parametrize("name", ["html", "js"], ids=["the element", "the script"])
async def test_the_example_refreshes_whoever_is_signed_in(keeper, visit, name):
    keeper.site.built["/page/example.html"] = {"html": b"<!doctype html>" + EXAMPLES["html"].encode(), "js": SCRIPT}[
        name
    ]
    keeper.site.built["/page/example-script.js"] = EXAMPLES["js"].encode()
    session = await keeper.keep()
    visitor = await visit(keeper.site)
    await visitor.sign_in(session.token.text)

    page = await visitor.open("example.html", "")

    await until(lambda: keeper.truth(session).rotations == 1, "a rotation")
    stored = keeper.truth(session).token
    await until(lambda: page.evaluate("(token) => localStorage.refreshToken === token", stored), "the token is stored")


async def test_the_layout_of_the_example_is_the_one_that_next_builds():
    assert EXAMPLES["jsx"] == (HERE / "next_app/app/layout.js").read_text("utf-8")


async def test_the_policy_of_the_page_is_the_one_that_all_tests_run_under():
    assert f"`{CSP}`" in PAGE
