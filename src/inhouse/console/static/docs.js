// A copy button on every block of code.
for (const block of document.querySelectorAll(".prose pre")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy small";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(block.querySelector("code").textContent);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not copied";
    }
    setTimeout(() => (button.textContent = "Copy"), 1600);
  });
  const frame = document.createElement("div");
  frame.className = "snippet";
  block.replaceWith(frame);
  frame.append(block, button);
}
