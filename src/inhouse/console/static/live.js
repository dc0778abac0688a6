// Parts of a page that the server tells anew as they change. Without this script they are as of the page's load.

for (const part of document.querySelectorAll("[data-live]")) {
  const events = new EventSource(part.dataset.live);
  events.addEventListener("message", (event) => {
    const held = part.contains(document.activeElement) && document.activeElement.closest("form, a, [tabindex]");
    // What somebody is about to press must not move away under the finger.
    if (held && held !== part) return;
    part.innerHTML = JSON.parse(event.data);
  });
}
