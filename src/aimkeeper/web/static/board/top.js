// The bar on top of both pages.
import { act } from "./api.js";
import { busy, byId } from "./dom.js";
import { attempt } from "./say.js";

/** The way out. */
export const beginTop = () => {
  const out = byId("sign-out");
  out.addEventListener("click", () =>
    busy(out, async () => {
      if (await attempt(() => act("POST", "/sign-out"), "Signed out.")) location.assign("/");
    }),
  );
};
