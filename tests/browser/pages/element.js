const heard = [];
window.heard = heard;
for (const name of ["refresh-success", "refresh-error", "logout-required"]) {
  document.addEventListener(name, (event) => heard.push([name, event.detail]));
}
await import("/static/element.js");
