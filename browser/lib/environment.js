/**
 * What a bundler wrote into the page. Next and its like replace `process.env.NEXT_PUBLIC_…` only where it stands
 * letter by letter, and a browser without a bundler has no `process`: hence each name in full, and the `try`.
 */

/** @returns {string|undefined} */
export function intervalFromEnvironment() {
  try {
    return process.env.NEXT_PUBLIC_TOKEN_REFRESH_INTERVAL_MINUTES;
  } catch {
    return undefined;
  }
}

/** @returns {string|undefined} From the bundler, else a global that a page without one has set. */
export function fingerprintFromEnvironment() {
  try {
    if (process.env.NEXT_PUBLIC_AIMHARDER_FINGERPRINT) return process.env.NEXT_PUBLIC_AIMHARDER_FINGERPRINT;
  } catch {
    // No bundler.
  }
  const set = /** @type {any} */ (globalThis).NEXT_PUBLIC_AIMHARDER_FINGERPRINT;
  return typeof set === "string" && set ? set : undefined;
}
