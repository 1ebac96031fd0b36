// What bundlers put in place of these two words. Only for checking: `process` is not there in a browser.
declare const process: { readonly env: Readonly<Record<string, string | undefined>> };
