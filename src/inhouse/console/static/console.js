// Everything here is extra: each page is whole without it, so what needs a script is hidden until the script runs.

const announce = (text) => {
  const status = document.querySelector("[data-announce]");
  status.textContent = "";
  requestAnimationFrame(() => (status.textContent = text));
};

const dark = matchMedia("(prefers-color-scheme: dark)");
for (const button of document.querySelectorAll("[data-theme-toggle]")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const root = document.documentElement;
    const now = root.dataset.theme ?? (dark.matches ? "dark" : "light");
    const next = now === "dark" ? "light" : "dark";
    root.dataset.theme = next;
    try {
      localStorage.setItem("theme", next);
    } catch {
      // The choice then lasts as long as the page.
    }
    announce(`${next} theme`);
  });
}

// Where navigation is a row that scrolls, the page that is shown stands in sight.
const narrow = matchMedia("(max-width: 900px)");
const inSight = () => {
  for (const row of document.querySelectorAll(".side-row")) {
    const here = row.querySelector("[aria-current]");
    if (here && narrow.matches) row.scrollLeft += here.getBoundingClientRect().left - row.clientWidth / 3;
  }
};
inSight();
narrow.addEventListener("change", inSight);

const copy = async (text) => {
  // The clipboard interface exists only over HTTPS and on localhost.
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "hear";
  // Behind an open dialog nothing can be selected.
  (document.querySelector("dialog[open]") ?? document.body).append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) throw new Error("copying is not allowed here");
};

// A button that copies, and says whether it did. Other scripts of the page use it, too.
window.copying = (button, label, text) =>
  button.addEventListener("click", async () => {
    const before = (button.dataset.label ??= label.textContent);
    let said = "Copied";
    try {
      await copy(text());
    } catch {
      said = "Not copied";
    }
    label.textContent = said;
    button.classList.toggle("done", said === "Copied");
    announce(said);
    setTimeout(() => {
      label.textContent = before;
      button.classList.remove("done");
    }, 1600);
  });

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  window.copying(button, button.querySelector("[data-copy-label]"), () => button.dataset.copy);
}

// What a tab keeps belongs to who is signed in.
document.querySelector("form[action='/sign-out']")?.addEventListener("submit", () => {
  try {
    sessionStorage.clear();
  } catch {
    // Then nothing was kept.
  }
});
