// Stops everything, and lets it go on.
import { act } from "./api.js";
import { sends } from "./ask.js";
import { busy, byId, write } from "./dom.js";
import { attempt, say } from "./say.js";

/** @param {() => void} again */
export const beginPausing = (again) => {
  sends(/** @type {HTMLFormElement} */ (byId("pausing")), async (given) => {
    const lasting = String(given.get("for") ?? "");
    await act("POST", "/api/pause", lasting ? { for: lasting } : {});
    say("Paused: nothing is sent to AimHarder.", "good");
    again();
  });
  const resume = byId("resume");
  resume.addEventListener("click", () =>
    busy(resume, async () => {
      await attempt(() => act("POST", "/api/resume"), "Goes on: what is due is rotated now.");
      again();
    }),
  );
};

/** @param {boolean} paused @param {number} living */
export const showPause = (paused, living) => {
  const [hidden, shown] = paused ? [byId("pause-button"), byId("resume")] : [byId("resume"), byId("pause-button")];
  if (!hidden.hidden) {
    // Whoever pressed the one is on the other.
    const had = document.activeElement === hidden;
    hidden.hidden = true;
    shown.hidden = false;
    if (had) shown.focus();
  }
  write(byId("pause-many"), living === 1 ? "The one session that lives" : `All ${living.toLocaleString("en")} sessions that live`);
};
