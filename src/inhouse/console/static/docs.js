// A copy button on every block of code.
for (const block of document.querySelectorAll(".prose pre")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy small";
  button.textContent = "Copy";
  window.copying(button, button, () => block.querySelector("code").textContent);
  const frame = document.createElement("div");
  frame.className = "snippet";
  block.replaceWith(frame);
  frame.append(block, button);
}
