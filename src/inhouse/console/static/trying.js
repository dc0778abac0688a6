// Forms of the API reference that send an operation for real, with the key of the session. Answers are only set as text.

const MOST = 200_000;
const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

for (const part of document.querySelectorAll("[data-try]")) {
  part.hidden = false;
  const form = part.querySelector("form");
  if (!form) continue;
  const find = (name) => form.querySelector(`[data-${name}]`);
  const { method, path, base, csrf, beta } = part.dataset;
  const body = find("body");

  const target = () => {
    let filled = path;
    for (const input of form.querySelectorAll("[data-path-value]")) {
      const name = input.dataset.pathValue;
      filled = filled.replace(`{${name}}`, input.value ? encodeURIComponent(input.value) : name.toUpperCase());
    }
    const query = new URLSearchParams();
    for (const input of form.querySelectorAll("[data-query]")) if (input.value) query.append(input.dataset.query, input.value);
    return filled + (query.size ? `?${query}` : "");
  };

  const show = () => {
    const administers = /^\/(organization|projects)\//.test(path);
    const lines = [`curl ${quoted(base + target())}`];
    if (method !== "GET" && !(method === "POST" && body)) lines.push(`-X ${method}`);
    lines.push(`-H "Authorization: Bearer $${administers ? "OPENAI_ADMIN_KEY" : "OPENAI_API_KEY"}"`);
    if (beta) lines.push(`-H 'OpenAI-Beta: ${beta}'`);
    if (body?.value.trim()) lines.push("-H 'Content-Type: application/json'", `-d ${quoted(body.value)}`);
    find("curl").textContent = lines.join(" \\\n  ");
  };

  form.addEventListener("input", show);
  show();

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const answer = find("answer");
    const status = find("status");
    const button = form.querySelector("[type=submit]");
    const stop = find("stop");
    const abort = new AbortController();
    answer.textContent = "";
    status.textContent = "Waiting…";
    button.disabled = true;
    stop.hidden = false;
    stop.onclick = () => abort.abort();
    const headers = { "x-csrf-token": csrf, ...(beta ? { "openai-beta": beta } : {}) };
    if (body?.value.trim()) headers["content-type"] = "application/json";
    try {
      const began = performance.now();
      const sent = { method, headers, signal: abort.signal, body: body?.value.trim() || undefined };
      const response = await fetch(`/console/v1${target()}`, sent);
      answer.parentElement.hidden = false;
      let text = "";
      const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = reader ? await reader.read() : { done: true };
        if (done) break;
        text += value;
        answer.textContent = text.slice(0, MOST);
      }
      if (response.headers.get("content-type")?.includes("json")) {
        answer.textContent = JSON.stringify(JSON.parse(text), null, 2).slice(0, MOST);
      }
      status.textContent = `${response.status} in ${((performance.now() - began) / 1000).toFixed(2)} s`;
    } catch (error) {
      status.textContent = error.name === "AbortError" ? "Stopped" : error.message;
    } finally {
      button.disabled = false;
      stop.hidden = true;
    }
  });
}
