/**
 * `<auto-token-refresh>`: the same, as an element.
 *
 *     <script type="module" src="/static/element.js"></script>
 *     <auto-token-refresh></auto-token-refresh>
 *
 * Attributes: `interval-minutes`, `base-url`, `mode`, `debug`, `enabled` ("false" = off), and `with-token`, without
 * which no event carries a token. Events, which bubble: `refresh-success` (`detail.token` if asked for),
 * `refresh-error` (`detail.error`, `.code`, `.status`), `logout-required`.
 */

import { startAutoTokenRefresh } from "./auto-token-refresh.js";

const ATTRIBUTES = ["interval-minutes", "base-url", "mode", "enabled", "debug", "with-token"];

/**
 * Define the element; done by itself where a browser imports this module. A second time does nothing.
 *
 * @param {string} [name]
 */
export function defineAutoTokenRefresh(name = "auto-token-refresh") {
  if (customElements.get(name)) return;
  // The class is made here, not above: a server that imports this module has no HTMLElement.
  customElements.define(name, elementClass());
}

function elementClass() {
  return class AutoTokenRefreshElement extends HTMLElement {
    static observedAttributes = ATTRIBUTES;

    /** @type {import("./auto-token-refresh.js").AutoTokenRefresh|null} */
    #running = null;
    #isStale = false;

    connectedCallback() {
      // An element that is moved is connected again, and never heard that it left.
      this.#restart();
    }

    disconnectedCallback() {
      this.#running?.stop();
      this.#running = null;
    }

    attributeChangedCallback() {
      // Several attributes set one after the other are one change.
      if (!this.#running || this.#isStale) return;
      this.#isStale = true;
      queueMicrotask(() => {
        this.#isStale = false;
        if (this.isConnected) this.#restart();
      });
    }

    /** Ask now. */
    async refresh() {
      await this.#running?.refresh();
    }

    get state() {
      return this.#running?.getState() ?? null;
    }

    #restart() {
      this.#running?.stop();
      this.#running = startAutoTokenRefresh(this.#options());
    }

    /** @returns {import("./auto-token-refresh.js").Options} */
    #options() {
      const withToken = this.hasAttribute("with-token");
      return {
        intervalMinutes: /** @type {any} */ (this.getAttribute("interval-minutes") ?? undefined),
        baseUrl: this.getAttribute("base-url") ?? undefined,
        mode: /** @type {any} */ (this.getAttribute("mode") ?? undefined),
        enabled: this.getAttribute("enabled") !== "false",
        debugMode: this.hasAttribute("debug") && this.getAttribute("debug") !== "false",
        onRefreshSuccess: withToken ? (token) => this.#tell("refresh-success", { token }) : undefined,
        onRefreshed: withToken ? undefined : () => this.#tell("refresh-success", {}),
        onRefreshError: (error, details) => this.#tell("refresh-error", { error, ...details }),
        onLogoutRequired: () => this.#tell("logout-required", {}),
      };
    }

    /** @param {string} name @param {object} detail */
    #tell(name, detail) {
      this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
    }
  };
}

if (typeof customElements !== "undefined") defineAutoTokenRefresh();
