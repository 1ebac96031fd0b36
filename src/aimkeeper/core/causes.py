"""Why sessions end, in plain words: half a sentence each."""

from aimkeeper.core.session import Cause

WHY = {
    Cause.SERVER_ENDED: "AimHarder ended it (a login elsewhere, a changed password or its own reasons)",
    Cause.DOUBLE_SPENT: "an answer of AimHarder's was lost, and it took the second try for a theft",
    Cause.IDLE_TIMEOUT: "it was not rotated in time",
    Cause.TOKEN_EXPIRED: "its token reached the end of its life",
    Cause.LOGGED_OUT_HERE: "it was logged out here",
    Cause.SUPERSEDED_BY_LOGIN: "a newer login took its place",
    Cause.BAD_CREDENTIALS: "the remembered password is no longer right",
    Cause.FORGOTTEN: "it was forgotten here",
    Cause.UNKNOWN: "AimHarder refused it from the start: the token was old, or used elsewhere meanwhile",
}
BY_ITS_OWNER = (Cause.LOGGED_OUT_HERE, Cause.FORGOTTEN)
