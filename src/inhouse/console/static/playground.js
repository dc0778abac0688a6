// One conversation in one pane or two, over /v1/responses with the session's key. Model text is only ever set as text.

const play = document.querySelector("[data-play]");
const find = (name, from = play) => from.querySelector(`[data-${name}]`);
const csrf = play?.dataset.csrf;
const { AGAIN, EXAMPLE, element, poster, failure, events, words, asInput, stored } = play ? await import(play.dataset.items) : {};
const post = play && poster(csrf);

const panes = [];

const setting = (name) => find(`set="${name}"`);

const request = (pane) => {
  const body = { model: find("model", pane.root).value, input: pane.items };
  const instructions = setting("instructions").value.trim();
  if (instructions) body.instructions = instructions;
  for (const name of ["temperature", "top_p"]) if (setting(name).value !== "1") body[name] = Number(setting(name).value);
  const most = Number(setting("max_output_tokens").value);
  if (most) body.max_output_tokens = most;
  const format = play.querySelector("[name=format]:checked").value;
  if (format === "json_object") body.text = { format: { type: "json_object" } };
  if (format === "json_schema") {
    body.text = { format: { type: "json_schema", name: "answer", strict: true, schema: parsed("schema", "The JSON schema") } };
  }
  const tools = [...hosted(), ...(setting("tools").value.trim() ? parsed("tools", "The list of tools") : [])];
  if (tools.length) body.tools = tools;
  body.store = setting("store").checked;
  if (setting("stream").checked) body.stream = true;
  if (setting("more").value.trim()) {
    const more = parsed("more", "The text under More parameters");
    if (more === null || typeof more !== "object" || Array.isArray(more)) throw new Error("More parameters are not a JSON object.");
    Object.assign(body, more);
  }
  return body;
};

// Tools that the server runs itself.
const hosted = () => {
  const tools = [];
  const store = setting("store-id").value;
  if (store) tools.push({ type: "file_search", vector_store_ids: [store] });
  const url = setting("mcp-url").value.trim();
  if (url) {
    const label = setting("mcp-label").value.trim() || "server";
    tools.push({ type: "mcp", server_label: label, server_url: url, require_approval: setting("mcp-approval").value });
  }
  return tools;
};

const parsed = (name, label) => {
  try {
    return JSON.parse(setting(name).value);
  } catch (error) {
    throw new Error(`${label} is not JSON: ${error.message}`);
  }
};

class Pane {
  constructor() {
    this.root = find("pane").content.firstElementChild.cloneNode(true);
    this.talk = find("talk", this.root);
    this.items = [];
    this.total = { input: 0, cached: 0, output: 0, nano: 0 };
    const model = find("model", this.root);
    model.addEventListener("change", () => this.named());
    find("remove", this.root).addEventListener("click", () => {
      this.abort?.abort();
      panes.splice(panes.indexOf(this), 1);
      this.root.remove();
      arranged();
    });
    find("panes").append(this.root);
    this.named();
  }

  named() {
    const by = find("by", this.root);
    by.title = by.textContent = `Served by ${this.option.dataset.served}`;
  }

  get option() {
    return find("model", this.root).selectedOptions[0];
  }

  say(role, text) {
    const line = element("li", `say say-${role}`);
    line.append(element("span", "who", { user: "You", assistant: this.option.textContent, error: "Error" }[role] ?? role));
    const body = element("div", "text", text);
    line.append(body);
    this.talk.append(line);
    this.talk.scrollTop = this.talk.scrollHeight;
    return body;
  }

  async run() {
    this.abort = new AbortController();
    const started = performance.now();
    const body = request(this);
    let shown = null;
    let first = null;
    const write = (text) => {
      first ??= performance.now();
      shown ??= this.say("assistant", "");
      shown.textContent += text;
      this.talk.scrollTop = this.talk.scrollHeight;
    };
    try {
      const response = await post("/console/v1/responses", body, this.abort.signal);
      if (!response.ok) throw await failure(response);
      let finished = null;
      if (body.stream) {
        for await (const event of events(response)) {
          if (event.type === "response.output_text.delta" || event.type === "response.refusal.delta") write(event.delta);
          else if (event.type === "response.output_item.done" && event.item.type !== "message") {
            shown = null;
            this.told(event.item);
          }
          else if (event.type === "error") throw new Error(event.message);
          else if (event.response && /^response\.(completed|incomplete|failed)$/.test(event.type)) finished = event.response;
        }
      } else {
        finished = await response.json();
        for (const item of finished.output) {
          if (item.type === "message") for (const part of item.content) write(part.text ?? part.refusal ?? "");
          else this.told(item);
        }
      }
      if (!finished) throw new Error("The connection ended in the middle of the answer.");
      if (finished.error) throw new Error(finished.error.message);
      this.items.push(...finished.output.map(asInput));
      this.count(finished, first ?? performance.now(), started);
      if (finished.status === "incomplete") this.note(`Ended early: ${finished.incomplete_details?.reason ?? "incomplete"}`);
      // Only now: what is asked stands among the items, before its answer.
      for (const item of finished.output) {
        if (item.type === "function_call") this.asked(item);
        if (item.type === "mcp_approval_request") this.approve(item);
      }
    } catch (error) {
      const partial = shown?.textContent ? { role: "assistant", content: shown.textContent } : null;
      if (partial) this.items.push(partial);
      if (error.name === "AbortError") this.note("Stopped");
      else this.failed(error, partial);
    } finally {
      this.abort = null;
    }
  }

  // What went wrong, with what helps: the same once more, or to sign in again; the conversation waits.
  failed(error, partial) {
    const lost = error instanceof TypeError && "The server cannot be reached.";
    const line = this.say("error", lost || error.message).parentElement;
    if (AGAIN[error.code]) {
      const link = element("a", "button button-small", error.code === "csrf" ? "Load the page again" : "Sign in again");
      link.href = error.code === "csrf" ? "/playground" : `/sign-in?next=${encodeURIComponent("/playground")}`;
      line.append(link);
      return;
    }
    const again = element("button", "button button-small", "Try again");
    again.type = "button";
    again.addEventListener("click", () => {
      if (find("send").disabled) return;
      if (partial) this.items.splice(this.items.indexOf(partial), 1);
      line.remove();
      working([this]);
    });
    line.append(again);
    this.talk.scrollTop = this.talk.scrollHeight;
  }

  // Items as they were: a conversation that is opened again.
  show(items) {
    this.items = items;
    const answered = new Set(items.map((item) => item.approval_request_id));
    const outputs = new Map(items.filter((item) => item.type === "function_call_output").map((item) => [item.call_id, item.output]));
    for (const item of items) {
      if (item.role) this.say(item.role === "assistant" ? "assistant" : item.role === "user" ? "user" : "system", words(item.content));
      else if (item.type === "function_call" && outputs.has(item.call_id)) this.note(`${item.name}(${item.arguments}) → ${words(outputs.get(item.call_id))}`);
      else if (item.type === "function_call") this.asked(item);
      else if (item.type === "mcp_approval_request" && !answered.has(item.id)) this.approve(item);
      else this.told(item);
    }
    if (items.at(-1)?.role === "user") this.failed(new Error("This was not answered."));
  }

  choose(model) {
    const select = find("model", this.root);
    const options = [...select.options].map((option) => option.value).filter((value) => model === value || model.startsWith(`${value}-20`));
    if (options.length) select.value = options.sort((one, other) => other.length - one.length)[0];
    this.named();
  }

  note(text) {
    this.talk.append(element("li", "note small quiet", text));
    this.talk.scrollTop = this.talk.scrollHeight;
  }

  // What a hosted tool did.
  told(item) {
    if (item.type === "file_search_call") this.note(`Searched the files for ${item.queries.map((query) => `“${query}”`).join(", ")}`);
    if (item.type === "mcp_list_tools") this.note(`${item.server_label} offers ${item.tools.map((tool) => tool.name).join(", ") || "no tools"}`);
    if (item.type === "mcp_call") this.note(`${item.server_label} ran ${item.name}(${item.arguments}): ${item.error ? JSON.stringify(item.error) : item.output}`);
  }

  approve(item) {
    const line = element("li", "say say-tool");
    line.append(element("span", "who", `May ${item.server_label} run this?`), element("code", "call", `${item.name}(${item.arguments})`));
    const row = element("div", "answer");
    for (const [label, approve] of [["Allow", true], ["Refuse", false]]) {
      const button = element("button", "button button-small", label);
      button.type = "button";
      button.addEventListener("click", () => {
        this.items.push({ type: "mcp_approval_response", approval_request_id: item.id, approve });
        row.replaceWith(element("code", "call", approve ? "→ allowed" : "→ refused"));
        working([this]);
      });
      row.append(button);
    }
    line.append(row);
    this.talk.append(line);
  }

  asked(call) {
    const line = element("li", "say say-tool");
    line.append(element("span", "who", "Function call"), element("code", "call", `${call.name}(${call.arguments})`));
    const form = element("form", "answer");
    const output = element("input");
    output.placeholder = "What the function gives back";
    output.setAttribute("aria-label", `Output of ${call.name}`);
    form.append(output, element("button", "button button-small", "Give back"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.items.push({ type: "function_call_output", call_id: call.call_id, output: output.value });
      form.replaceWith(element("code", "call", `→ ${output.value}`));
      const answered = new Set(this.items.filter((item) => item.type === "function_call_output").map((item) => item.call_id));
      if (this.items.every((item) => item.type !== "function_call" || answered.has(item.call_id))) working([this]);
    });
    line.append(form);
    this.talk.append(line);
    output.focus();
  }

  count(response, first, started) {
    const usage = response.usage;
    if (!usage) return;
    const cached = usage.input_tokens_details?.cached_tokens ?? 0;
    const price = this.option.dataset;
    this.total.input += usage.input_tokens;
    this.total.output += usage.output_tokens;
    this.total.nano += (usage.input_tokens - cached) * price.input + cached * price.cached + usage.output_tokens * price.output;
    const seconds = (performance.now() - first) / 1000;
    const speed = seconds > 0.05 && usage.output_tokens > 1 ? ` · ${((usage.output_tokens - 1) / seconds).toFixed(1)} tokens/s` : "";
    const wait = ` · first after ${((first - started) / 1000).toFixed(2)} s`;
    find("meter", this.root).textContent =
      `${this.total.input.toLocaleString("en")} in · ${this.total.output.toLocaleString("en")} out · ` +
      `$${(this.total.nano / 1e9).toFixed(6)}${wait}${speed}`;
  }

  clear() {
    this.abort?.abort();
    this.items = [];
    this.total = { input: 0, cached: 0, output: 0, nano: 0 };
    this.talk.replaceChildren();
    find("meter", this.root).textContent = "No tokens yet";
  }
}

const SETTINGS = () => [...play.querySelectorAll("[data-set]")];

// The conversation lives as long as the tab: a reload, the way back or a new sign-in does not lose it.
const keep = () => {
  const settings = Object.fromEntries(SETTINGS().map((each) => [each.dataset.set, each.type === "checkbox" ? each.checked : each.value]));
  settings.format = play.querySelector("[name=format]:checked").value;
  const kept = panes.map((pane) => ({ model: find("model", pane.root).value, items: pane.items, total: pane.total }));
  try {
    sessionStorage.setItem("playground", JSON.stringify({ owner: play.dataset.owner, panes: kept, settings }));
  } catch {
    // Too long to keep, or keeping is denied.
  }
};

const kept = () => {
  const asked = new URLSearchParams(location.search);
  const [entry] = performance.getEntriesByType("navigation");
  if ((asked.has("model") || asked.has("from")) && !/reload|back_forward/.test(entry?.type ?? "")) return null;
  try {
    const found = JSON.parse(sessionStorage.getItem("playground"));
    return found?.owner === play.dataset.owner ? found : null;
  } catch {
    return null;
  }
};

const put = (settings) => {
  for (const each of SETTINGS()) {
    const value = settings[each.dataset.set];
    if (value === undefined || value === null) continue;
    if (each.type === "checkbox") each.checked = value;
    else if (each.tagName === "SELECT" && ![...each.options].some((option) => option.value === value)) each.dataset.wanted = value;
    else each.value = value;
    each.dispatchEvent(new Event("input"));
    if (value !== each.defaultValue && each.type !== "checkbox") each.closest("details")?.setAttribute("open", "");
  }
  const format = play.querySelector(`[name=format][value="${settings.format}"]`);
  if (format) {
    format.checked = true;
    format.dispatchEvent(new Event("change"));
  }
};

const arranged = () => {
  find("panes").dataset.count = panes.length;
  find("add").disabled = panes.length >= 2;
  for (const pane of panes) find("remove", pane.root).hidden = panes.length < 2;
};

// Files that go with the next message: uploaded once, named by their ids.
const attached = [];

const attach = async (files) => {
  problem("");
  for (const file of files) {
    const form = new FormData();
    const picture = file.type.startsWith("image/");
    form.append("purpose", picture ? "vision" : "user_data");
    form.append("file", file);
    const chip = element("li", "chip", `${file.name} …`);
    find("attached").append(chip);
    try {
      const response = await fetch("/console/v1/files", { method: "POST", headers: { "x-csrf-token": csrf }, body: form });
      const told = await response.json();
      if (!response.ok) throw new Error(AGAIN[told.error.code] ?? told.error.message);
      const part = picture
        ? { type: "input_image", file_id: told.id, detail: "auto" }
        : { type: "input_file", file_id: told.id };
      attached.push({ part, name: file.name, chip });
      chip.textContent = file.name;
      const drop = element("button", "copy", "✕");
      drop.type = "button";
      drop.setAttribute("aria-label", `Leave out ${file.name}`);
      drop.addEventListener("click", () => {
        attached.splice(attached.findIndex((each) => each.chip === chip), 1);
        chip.remove();
      });
      chip.append(drop);
    } catch (error) {
      chip.remove();
      problem(`${file.name}: ${error.message}`);
    }
  }
};

const message = (text) => ({
  role: "user",
  content: attached.length ? [...attached.map((each) => each.part), ...(text ? [{ type: "input_text", text }] : [])] : text,
});

// Stores to choose from, as the project has them now.
const stores = async () => {
  const response = await fetch("/console/v1/vector_stores?limit=100", { headers: { "x-csrf-token": csrf } });
  if (!response.ok) return;
  for (const store of (await response.json()).data) {
    const option = element("option", "", store.name || store.id);
    option.value = store.id;
    setting("store-id").append(option);
  }
  const wanted = setting("store-id").dataset.wanted;
  if (wanted) setting("store-id").value = wanted;
};

const problem = (text) => (find("problem").textContent = text);

const working = async (which) => {
  find("send").disabled = true;
  find("stop").hidden = false;
  await Promise.all(which.map((pane) => pane.run().catch((error) => pane.say("error", error.message))));
  find("send").disabled = false;
  find("stop").hidden = true;
  keep();
};

const send = () => {
  const text = find("say").value.trim();
  if ((!text && !attached.length) || find("send").disabled) return;
  problem("");
  try {
    for (const pane of panes) request(pane);
  } catch (error) {
    problem(error.message);
    return;
  }
  find("say").value = "";
  find("starters").hidden = true;
  for (const pane of panes) {
    pane.items.push(message(text));
    pane.say("user", [...attached.map((each) => `[${each.name}]`), text].filter(Boolean).join("\n"));
  }
  attached.length = 0;
  find("attached").replaceChildren();
  working([...panes]);
};

const showCode = async () => {
  problem("");
  try {
    const said = find("say").value.trim();
    const body = request(panes[0]);
    const last = body.input.at(-1);
    if (last?.role === "assistant") body.input = body.input.slice(0, -1);
    if (said || attached.length || body.input.length === 0) body.input = [...panes[0].items, message(said || "Say hello.")];
    if (body.input.length === 1 && typeof body.input[0].content === "string") body.input = body.input[0].content;
    const response = await post("/playground/code", body);
    const told = await response.json();
    if (!response.ok) throw new Error(told.error.message);
    const choose = (language) => {
      for (const button of play.querySelectorAll("[data-language]")) {
        button.setAttribute("aria-pressed", String(button.dataset.language === language));
      }
      find("shown").textContent = told[language];
    };
    for (const button of play.querySelectorAll("[data-language]")) button.onclick = () => choose(button.dataset.language);
    choose("python");
    find("dialog").showModal();
  } catch (error) {
    problem(error.message);
  }
};

if (play) {
  panes.push(new Pane());
  arranged();
  find("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
  find("say").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      send();
    }
  });
  find("add").addEventListener("click", () => {
    const pane = new Pane();
    const model = find("model", pane.root);
    model.selectedIndex = (find("model", panes[0].root).selectedIndex + 1) % model.options.length;
    pane.named();
    panes.push(pane);
    arranged();
  });
  find("attach").addEventListener("click", () => find("file").click());
  find("file").addEventListener("change", (event) => {
    attach([...event.target.files]).then(() => (find("file").value = ""));
  });
  stores();
  find("stop").addEventListener("click", () => panes.forEach((pane) => pane.abort?.abort()));
  find("clear").addEventListener("click", () => {
    panes.forEach((pane) => pane.clear());
    find("starters").hidden = false;
    keep();
  });
  for (const idea of play.querySelectorAll("[data-idea]")) {
    idea.addEventListener("click", () => {
      find("say").value = idea.textContent;
      find("say").focus();
    });
  }
  find("code").addEventListener("click", showCode);
  find("close").addEventListener("click", () => find("dialog").close());
  window.copying(find("copy-code"), find("copy-code"), () => find("shown").textContent);
  find("example").addEventListener("click", () => (setting("tools").value = JSON.stringify(EXAMPLE, null, 2)));
  for (const radio of play.querySelectorAll("[name=format]")) {
    radio.addEventListener("change", () => (find("schema").hidden = radio.value !== "json_schema"));
  }
  for (const shows of play.querySelectorAll("[data-shows]")) {
    setting(shows.dataset.shows).addEventListener("input", (event) => (shows.textContent = event.target.value));
  }
  const before = kept();
  const from = new URLSearchParams(location.search).get("from");
  if (before) {
    put(before.settings);
    before.panes.slice(0, 2).forEach((each, place) => {
      if (place > 0) find("add").click();
      panes[place].choose(each.model);
      panes[place].show(each.items);
      panes[place].total = each.total;
    });
  } else if (from) {
    stored(from, csrf)
      .then(({ model, items, settings }) => {
        put(settings);
        panes[0].choose(model);
        panes[0].show(items);
      })
      .catch((error) => problem(error.message));
  }
  find("starters").hidden = Boolean(from || before?.panes.some((each) => each.items.length));
  play.addEventListener("change", keep);
  find("say").focus();
}
