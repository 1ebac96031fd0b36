// Shows the sessions, and looks again every second while somebody looks.

const words = {
  active: "kept alive",
  in_doubt: "in doubt: being asked again",
  suspected: "suspected: held back",
  token_lost: "token lost: log in again",
  ended: "ended",
};

const cell = (name, text, kind = "") => {
  const td = document.createElement("td");
  td.dataset.name = name;
  td.textContent = text;
  if (kind) td.className = kind;
  return td;
};

const seconds = (iso) => (iso ? (Date.parse(iso) - Date.now()) / 1000 : null);

const span = (value) => {
  if (value === null) return "–";
  const whole = Math.max(Math.round(Math.abs(value)), 0);
  const text = whole < 120 ? `${whole} s` : whole < 7200 ? `${Math.round(whole / 60)} min` : `${Math.round(whole / 3600)} h`;
  return value < -0.5 ? `${text} ago` : text;
};

const lately = (turns) => {
  const td = cell("Lately", "", "turns");
  for (const turn of turns.slice(-12)) {
    const mark = document.createElement("span");
    const good = turn.what === "rotated" || turn.what === "alive";
    mark.textContent = good ? "●" : "✕";
    mark.className = good ? "good" : "bad";
    mark.title = `${new Date(turn.at * 1000).toLocaleTimeString()} ${turn.via}: ${turn.what}`;
    td.append(mark);
  }
  return td;
};

const row = (session) => {
  const tr = document.createElement("tr");
  const name = cell("Session", session.email);
  const device = document.createElement("small");
  device.textContent = ` #${session.fingerprint.slice(0, 8)}…`;
  name.append(device);
  const ended = session.status === "ended";
  const why = ended && session.cause ? ` (${session.cause.replaceAll("_", " ")})` : "";
  tr.append(
    name,
    cell("Status", words[session.status] + why, session.status),
    cell("Rotations", session.rotations),
    cell("Last", span(seconds(session.rotated_at))),
    cell("Next", span(seconds(session.due_at))),
    cell("Dies in, untouched", ended ? "–" : span(seconds(session.deadline_at))),
    lately(session.turns),
  );
  return tr;
};

const look = async () => {
  const summary = document.getElementById("summary");
  try {
    const answer = await fetch("/api/sessions?limit=200", { cache: "no-store" });
    if (answer.status === 401) return location.reload();
    const { sessions, next } = await answer.json();
    document.getElementById("sessions").replaceChildren(...sessions.map(row));
    const living = sessions.filter((session) => session.status !== "ended").length;
    summary.textContent = sessions.length
      ? `${living} of ${sessions.length} kept alive`
      : "Nobody is kept yet: aimkeeper login you@example.com --remember";
    document.getElementById("more").textContent = next ? "Only the first 200 are shown." : "";
  } catch {
    summary.textContent = "aimkeeper does not answer; looking again…";
  }
};

const loop = async () => {
  if (!document.hidden) await look();
  setTimeout(loop, 1000);
};
loop();
