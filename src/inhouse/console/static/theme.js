// Runs before the first paint, so that a stored choice never flashes.
(() => {
  let stored = null;
  try {
    stored = localStorage.getItem("theme");
  } catch {
    // Storage may be denied; the system's choice then holds.
  }
  if (stored === "light" || stored === "dark") document.documentElement.dataset.theme = stored;
})();
