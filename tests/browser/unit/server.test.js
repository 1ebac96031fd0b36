import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

const BROWSER = new URL("../../../browser/", import.meta.url);
const MODULES = [
  ...["auto-token-refresh.js", "element.js", "react.js"],
  ...readdirSync(new URL("lib/", BROWSER)).map((name) => `lib/${name}`),
];

for (const name of ["window", "document", "localStorage", "HTMLElement", "BroadcastChannel", "location"]) {
  Object.defineProperty(globalThis, name, {
    configurable: true,
    get() {
      throw new Error(`a server has no ${name}`);
    },
  });
}

for (const name of MODULES) {
  test(`${name} can be imported on a server`, async () => {
    assert.ok(await import(new URL(name, BROWSER).href));
  });
}

test("react.js is a client component", () => {
  assert.ok(readFileSync(new URL("react.js", BROWSER), "utf8").startsWith('"use client";\n'));
});

test("nothing writes a cookie, and nothing but debugMode writes to the console", () => {
  for (const name of MODULES) {
    const text = readFileSync(new URL(name, BROWSER), "utf8");
    assert.ok(!/document\.cookie|cookieStore/.test(text), name);
    assert.equal(text.match(/console\./g)?.length ?? 0, name === "lib/surroundings.js" ? 1 : 0, name);
  }
});
