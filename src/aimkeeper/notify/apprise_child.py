"""The process that `by_apprise` starts: reads one piece of work, does it, and says how by its exit status alone."""

import json
import logging
import sys

DELIVERED, NOT_DELIVERED = 0, 1
# This and above: which address can't be used, the first being 0.
UNKNOWN = 10


def main() -> int:
    import apprise  # noqa: PLC0415 (it takes its time, and only here)

    logging.disable()
    work = json.load(sys.stdin)
    asset = apprise.AppriseAsset(
        app_id="aimkeeper",
        app_desc="aimkeeper",
        app_url="",
        # No service shall fetch pictures from elsewhere for our sake.
        image_url_mask="",
        image_url_logo="",
        async_mode=False,
    )
    told = apprise.Apprise(asset=asset)
    for number, url in enumerate(work["urls"]):
        service = apprise.Apprise.instantiate(url, asset=asset)
        if service is None:
            return UNKNOWN + number
        told.add(service)
    if "text" not in work:
        return DELIVERED
    levels = {
        "bad": apprise.NotifyType.FAILURE,
        "warning": apprise.NotifyType.WARNING,
        "good": apprise.NotifyType.SUCCESS,
    }
    kind = levels.get(work["level"], apprise.NotifyType.INFO)
    done = told.notify(title=work["title"], body=work["text"], notify_type=kind, body_format=apprise.NotifyFormat.TEXT)
    return DELIVERED if done else NOT_DELIVERED


if __name__ == "__main__":
    sys.exit(main())
