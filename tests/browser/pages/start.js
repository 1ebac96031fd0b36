// Options in the address, results on the window: what a test needs, without a script in the page itself.
import { startAutoTokenRefresh } from "/static/auto-token-refresh.js";

const heard = { tokens: [], refreshes: 0, errors: [], logouts: 0, restored: 0 };
window.heard = heard;
window.addEventListener("pageshow", (event) => void (event.persisted && (heard.restored += 1)));

const options = Object.fromEntries(new URLSearchParams(location.search));
const wantsToken = options.without !== "token";
delete options.without;
window.refresh = startAutoTokenRefresh({
  debugMode: true,
  ...options,
  onRefreshSuccess: wantsToken ? (token) => heard.tokens.push(token) : undefined,
  onRefreshed: () => void (heard.refreshes += 1),
  onRefreshError: (error, details) => heard.errors.push({ error, ...details }),
  onLogoutRequired: () => void (heard.logouts += 1),
});
