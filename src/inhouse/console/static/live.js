// Parts of a page that the server tells anew as they change. Without this script they are as of the page's load.

const MOST_WAIT_MS = 60_000;

for (const part of document.querySelectorAll("[data-live]")) {
  let wait = 2_000;
  const lost = document.createElement("p");
  lost.className = "quiet small lost";
  lost.setAttribute("role", "status");
  part.before(lost);
  const follow = () => {
    const events = new EventSource(part.dataset.live);
    events.addEventListener("message", (event) => {
      lost.textContent = "";
      wait = 2_000;
      const held = part.contains(document.activeElement) && document.activeElement.closest("form, a, [tabindex]");
      // What somebody is about to press must not move away under the finger.
      if (held && held !== part) return;
      part.innerHTML = JSON.parse(event.data);
    });
    // A browser comes again by itself where the connection broke, not where it was refused: the session has ended,
    // or a proxy answers for a server that starts again.
    events.addEventListener("error", () => {
      if (events.readyState !== EventSource.CLOSED) return;
      lost.textContent = "Not updated at the moment; load the page again to be sure.";
      setTimeout(follow, wait);
      wait = Math.min(wait * 2, MOST_WAIT_MS);
    });
  };
  follow();
}
