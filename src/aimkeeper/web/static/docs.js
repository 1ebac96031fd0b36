// Lists every route of /openapi.json, each with a form to try it.

const element = (name, content = {}, ...children) => {
  const made = Object.assign(document.createElement(name), content);
  made.append(...children);
  return made;
};

const field = (name, label, control) => element("p", {}, element("label", {}, `${label} `, Object.assign(control, { name })));

// What the operator's own page sends along with a write; nothing for everybody else.
const csrf = async () => {
  try {
    const answer = await fetch("/api/status", { cache: "no-store" });
    return answer.ok ? (await answer.json()).csrf_token : null;
  } catch {
    return null;
  }
};

const send = async (method, path, form, parameters, answer) => {
  const given = (parameter) => form.elements[parameter.name].value;
  const query = new URLSearchParams();
  let address = path;
  for (const parameter of parameters) {
    if (parameter.in === "path") address = address.replace(`{${parameter.name}}`, encodeURIComponent(given(parameter)));
    if (parameter.in === "query" && given(parameter)) query.set(parameter.name, given(parameter));
  }
  if (`${query}`) address += `?${query}`;
  const bearer = document.getElementById("bearer").value;
  const headers = bearer ? { authorization: `Bearer ${bearer}` } : {};
  const body = form.elements.body?.value;
  if (body) headers["content-type"] = "application/json";
  answer.textContent = "…";
  const token = !bearer && method !== "GET" ? await csrf() : null;
  if (token) headers["x-csrf-token"] = token;
  try {
    const response = await fetch(address, { method, headers, body: body || undefined, cache: "no-store" });
    const text = await response.text();
    let shown = text;
    try {
      shown = JSON.stringify(JSON.parse(text), null, 2);
    } catch {
      // Not JSON: shown as it came.
    }
    answer.textContent = `${response.status} ${response.statusText}\n${shown}`;
  } catch {
    answer.textContent = "aimkeeper does not answer.";
  }
};

const route = (method, path, operation) => {
  const parameters = operation.parameters ?? [];
  const form = element("form");
  const answer = element("pre", { hidden: true });
  for (const parameter of parameters) {
    form.append(field(parameter.name, parameter.name, element("input", { required: parameter.in === "path" })));
  }
  const content = operation.requestBody?.content["application/json"];
  if (content) {
    const example = JSON.stringify(content.example ?? {}, null, 2);
    const rows = example.split("\n").length + 1;
    form.append(field("body", "JSON body", element("textarea", { rows, cols: 60, value: example })));
  }
  form.append(element("button", {}, "Send"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    answer.hidden = false;
    send(method.toUpperCase(), path, form, parameters, answer);
  });
  const title = element("summary", {}, element("b", {}, method.toUpperCase()), ` ${path} `, element("small", {}, operation.summary ?? ""));
  const who = (operation.security ?? []).map((way) => Object.keys(way).find((name) => name !== "csrf") ?? "anyone");
  const about = element("p", {}, `${operation.description ?? ""} For ${[...new Set(who)].join(", ")}.`);
  return element("details", {}, title, about, form, answer);
};

const routes = document.getElementById("routes");
try {
  const { paths } = await (await fetch("/openapi.json")).json();
  const found = Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => route(method, path, operation)),
  );
  routes.replaceChildren(...found);
} catch {
  routes.replaceChildren(element("p", {}, "The description can't be read; look again in a moment."));
}
