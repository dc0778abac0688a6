// A file goes to /v1/files as it is, with the session's key.

const upload = document.querySelector("[data-upload]");
upload.hidden = false;
upload.addEventListener("submit", async (event) => {
  event.preventDefault();
  const problem = upload.querySelector("[data-problem]");
  const button = upload.querySelector("button");
  problem.textContent = "";
  button.disabled = true;
  try {
    const response = await fetch("/console/v1/files", {
      method: "POST",
      headers: { "x-csrf-token": upload.dataset.csrf },
      body: new FormData(upload),
    });
    if (!response.ok) {
      const told = await response.json().catch(() => ({}));
      throw new Error(told.error?.message ?? `The server answered ${response.status}.`);
    }
    location.reload();
  } catch (error) {
    problem.textContent = error.message;
  } finally {
    button.disabled = false;
  }
});
