"""Books the class at 18:00 in a browser. It knows the password, and logs in each time."""

import os
import sys

from playwright.sync_api import sync_playwright

BOX = "https://yourbox.aimharder.com"
LOGIN = "https://login.aimharder.com/api/login"
ASK = "([url, form]) => fetch(url, form && {method: 'POST', body: new URLSearchParams(form)}).then(a => a.json())"


def book(page, day):
    page.goto(f"{BOX}/")
    told = page.evaluate(ASK, [f"/api/bookings?day={day}&box=9283&familyId=", None])
    wanted = next(one for one in told["bookings"] if one["time"].startswith("18:00"))
    return page.evaluate(ASK, ["/api/book", {"id": wanted["id"], "day": day, "insist": 0, "familyId": ""}])


with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=os.environ.get("CHROMIUM"))
    context = browser.new_context()
    who = {"username": "you@example.com", "password": os.environ["PASSWORD"], "fingerprint": "my-bot", "iniframe": 0}
    context.request.post(LOGIN, data=who, fail_on_status_code=True)
    told = book(context.new_page(), sys.argv[1])
    browser.close()
print("booked" if told.get("bookState") == 1 else told)
