// The page of all sessions.
import { beginAdding } from "./board/add.js";
import { look } from "./board/api.js";
import { beginDialogs } from "./board/ask.js";
import { beginCharts, lookAtCharts } from "./board/charts.js";
import { beginTop } from "./board/top.js";
import { byId } from "./board/dom.js";
import { showGlance, untilDue } from "./board/glance.js";
import { live } from "./board/live.js";
import { showFact } from "./board/news.js";
import { beginPausing, showPause } from "./board/pause.js";
import { beginTable, lookAtTable, search } from "./board/table.js";
import { keepMoving } from "./board/time.js";
import { beginVerdicts, showVerdicts } from "./board/verdicts.js";

// Between two looks: as soon as one of those shown was due, but neither all the time nor too seldom.
const SOONEST = 1000;
const LATEST = 5000;
// What is due is rotated in a moment; then there is something to see.
const A_MOMENT = 400;

const lookAtAll = async () => {
  const [status, page] = await Promise.all([look("/api/status").then(shown), lookAtTable()]);
  // Charts are drawn once the rest stands there.
  await lookAtCharts();
  await showVerdicts(status.sessions.suspected ?? 0);
  return Math.min(Math.max(untilDue(page) + A_MOMENT, SOONEST), LATEST);
};

/** @param {import("./board/api.js").Status} status */
const shown = (status) => {
  showGlance(status);
  showPause(status.upstream.paused && !status.upstream.barred, status.sessions.living ?? 0);
  byId("no-news").hidden ||= byId("news").children.length > 0;
  return status;
};

const again = live({ look: lookAtAll, heard: showFact, concerns: (fact) => fact.kind !== "signed_in" });
beginDialogs();
beginTop();
beginTable(() => again());
beginCharts(() => again());
beginPausing(() => again());
beginVerdicts(() => again());
beginAdding(async (email) => {
  await search(email);
  again();
});
keepMoving();
