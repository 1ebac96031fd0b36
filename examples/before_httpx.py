"""Books the class at 18:00. It knows the password, and logs in each time."""

import os
import sys

import httpx

BOX = "https://yourbox.aimharder.com"
LOGIN = "https://login.aimharder.com/api/login"


def book(client, day):
    told = client.get(f"{BOX}/api/bookings", params={"day": day, "box": "9283", "familyId": ""}).json()
    wanted = next(one for one in told["bookings"] if one["time"].startswith("18:00"))
    form = {"id": wanted["id"], "day": day, "insist": 0, "familyId": ""}
    return client.post(f"{BOX}/api/book", data=form).json()


with httpx.Client() as client:
    who = {"username": "you@example.com", "password": os.environ["PASSWORD"], "fingerprint": "my-bot", "iniframe": 0}
    client.post(LOGIN, json=who).raise_for_status()
    told = book(client, sys.argv[1])
print("booked" if told.get("bookState") == 1 else told)
