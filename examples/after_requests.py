"""Books the class at 18:00, in a session that aimkeeper keeps."""

import sys

import requests

from aimkeeper import RequestsAuth

BOX = "https://yourbox.aimharder.com"


def book(session, day):
    told = session.get(f"{BOX}/api/bookings", params={"day": day, "box": "9283", "familyId": ""}).json()
    wanted = next(one for one in told["bookings"] if one["time"].startswith("18:00"))
    form = {"id": wanted["id"], "day": day, "insist": 0, "familyId": ""}
    return session.post(f"{BOX}/api/book", data=form).json()


with requests.Session() as session:
    session.auth = RequestsAuth("you@example.com")
    told = book(session, sys.argv[1])
    if "logout" in told:  # nothing was booked: the session ended between the two requests
        told = book(session, sys.argv[1])
print("booked" if told.get("bookState") == 1 else told)
