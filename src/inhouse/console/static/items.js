// What the playground sends and reads: items of the Responses API, its events, and what stands against a request.

export const AGAIN = { not_signed_in: "Your session has ended.", csrf: "You have signed in anew since this page was loaded." };

// What stands against it, in words; and where signing in helps, that it does.
export const failure = async (response) => {
  const told = await response.json().catch(() => ({}));
  const error = new Error(AGAIN[told.error?.code] ?? told.error?.message ?? `The server answered ${response.status}.`);
  error.code = told.error?.code;
  return error;
};

export async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    waiting += value;
    const parts = waiting.split("\n\n");
    waiting = parts.pop();
    for (const part of parts) {
      const data = part.split("\n").filter((line) => line.startsWith("data:")).map((line) => line.slice(5)).join("\n").trim();
      if (data && data !== "[DONE]") yield JSON.parse(data);
    }
  }
}

export const words = (content) =>
  typeof content === "string" ? content : (content ?? []).map((part) => part.text ?? part.refusal ?? `[${part.filename ?? part.type.replace("input_", "")}]`).join("\n");

export const asInput = (item) => {
  if (item.type === "message" && item.role !== "assistant") return { role: item.role, content: item.content };
  if (item.type === "message") return { role: "assistant", content: item.content.map((part) => part.text ?? part.refusal ?? "").join("") };
  if (item.type === "function_call") return { type: item.type, call_id: item.call_id, name: item.name, arguments: item.arguments };
  return item;
};

// A message of Chat Completions as items of the Responses API.
const fromMessage = (said) => {
  if (said.role === "tool") return [{ type: "function_call_output", call_id: said.tool_call_id, output: words(said.content) }];
  const parts = said.content_parts ?? said.content;
  const items = parts?.length ? [{ role: said.role, content: said.role === "user" && typeof parts !== "string" ? parts.map(asPart) : words(parts) }] : [];
  for (const call of said.tool_calls ?? []) {
    if (call.function) items.push({ type: "function_call", call_id: call.id, name: call.function.name, arguments: call.function.arguments });
  }
  return items;
};

const asPart = (part) => {
  if (part.type === "text") return { type: "input_text", text: part.text };
  if (part.type === "image_url") return { type: "input_image", image_url: part.image_url.url, detail: part.image_url.detail ?? "auto" };
  return { type: "input_text", text: `[${part.type}]` };
};

// A stored response or completion, to go on from: its model, its items, and what the settings were.
export const stored = async (id, csrf) => {
  const get = async (path) => {
    const response = await fetch(`/console/v1${path}`, { headers: { "x-csrf-token": csrf } });
    if (!response.ok) throw await failure(response);
    return response.json();
  };
  const isResponse = id.startsWith("resp_");
  const path = `/${isResponse ? "responses" : "chat/completions"}/${encodeURIComponent(id)}`;
  const record = await get(path);
  const before = (await get(isResponse ? `${path}/input_items?order=asc&limit=100` : `${path}/messages?limit=100`)).data;
  const tools = record.tools ?? [];
  const functions = tools.filter((tool) => tool.type === "function").map((tool) => ({ type: "function", ...(tool.function ?? tool) }));
  const settings = {
    temperature: record.temperature,
    top_p: record.top_p,
    tools: functions.length ? JSON.stringify(functions, null, 2) : null,
    "store-id": tools.find((tool) => tool.type === "file_search")?.vector_store_ids?.[0],
    instructions: typeof record.instructions === "string" ? record.instructions : null,
    max_output_tokens: record.max_output_tokens,
  };
  const items = isResponse
    ? [...before, ...record.output].map(asInput)
    : [...before, ...record.choices.map((choice) => choice.message)].flatMap(fromMessage);
  return { model: record.model, items, settings };
};

// Of a function.
export const EXAMPLE = [
  {
    type: "function",
    name: "get_weather",
    description: "The weather in a city right now.",
    parameters: {
      type: "object",
      properties: { city: { type: "string" } },
      required: ["city"],
      additionalProperties: false,
    },
    strict: true,
  },
];

export const element = (tag, className, text) => {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
};

export const poster = (csrf) => (path, body, signal) =>
  fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json", "x-csrf-token": csrf },
    body: JSON.stringify(body),
    signal,
  });
