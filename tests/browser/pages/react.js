// Bundled by the tests, once with React 18 and once with 19.
import { createElement, StrictMode, useState, version } from "react";
import { createRoot } from "react-dom/client";

import { AutoTokenRefresh, useAutoTokenRefresh } from "../../../browser/react.js";

const heard = { tokens: [], errors: [], logouts: 0, renders: 0 };

function Shown({ enabled }) {
  heard.renders += 1;
  const refresh = useAutoTokenRefresh({
    mode: "holder",
    debugMode: true,
    enabled,
    // New functions at each render, as most pages write them.
    onRefreshSuccess: (token) => heard.tokens.push(token),
    onRefreshError: (error) => heard.errors.push(error),
    onLogoutRequired: () => void (heard.logouts += 1),
  });
  window.hook = refresh;
  return createElement("output", null, `${refresh.refreshCount} refreshes, ${refresh.enabled ? "on" : "off"}`);
}

function Page() {
  const [how, setHow] = useState({ isShown: true, enabled: true, isComponent: false });
  window.setHow = setHow;
  if (!how.isShown) return null;
  return how.isComponent ? createElement(AutoTokenRefresh) : createElement(Shown, how);
}

const root = createRoot(document.getElementById("root"));
root.render(createElement(StrictMode, null, createElement(Page)));
Object.assign(window, { heard, root, reactVersion: version });
