// The Agents SDK for JavaScript: tools, streams, handoffs, sessions.
import assert from "node:assert/strict";
import { Agent, MemorySession, OpenAIResponsesModel, run, setTracingDisabled, tool } from "@openai/agents";
import OpenAI from "openai";
import { z } from "zod";

setTracingDisabled(true);
const client = new OpenAI({ maxRetries: 0, timeout: 60_000 });
const model = new OpenAIResponsesModel(client, "gpt-4.1");
const asked = [];
const weather = tool({
  name: "get_weather",
  description: "The weather in a city.",
  parameters: z.object({ city: z.string() }),
  execute: async ({ city }) => {
    asked.push(city);
    return `It is 21 degrees in ${city}.`;
  },
});

const agent = new Agent({ name: "Weather", instructions: "Use it.", model, tools: [weather] });
assert.match((await run(agent, "Weather?", { maxTurns: 3 })).finalOutput, /21 degrees in Paris/);
const streamed = await run(agent, "Weather?", { maxTurns: 3, stream: true });
const kinds = new Set();
for await (const event of streamed) kinds.add(event.type);
await streamed.completed;
assert.match(streamed.finalOutput, /21 degrees in Paris/);
assert.ok(kinds.has("raw_model_stream_event") && kinds.has("run_item_stream_event"));
assert.deepEqual(asked, ["Paris", "Paris"]);

const spanish = new Agent({ name: "Spanish", instructions: "Answer in Spanish.", model });
const triage = new Agent({ name: "Triage", instructions: "Hand off.", model, handoffs: [spanish] });
assert.equal((await run(triage, "Hola", { maxTurns: 3 })).lastAgent.name, "Spanish");

const plain = new Agent({ name: "Plain", instructions: "Be brief.", model });
const session = new MemorySession();
await run(plain, "First", { session });
assert.match((await run(plain, "Second", { session })).finalOutput, /'Second' in message 4/);

const City = z.object({ name: z.string(), country: z.string() });
const out = new Agent({ name: "Out", model, outputType: City });
assert.deepEqual((await run(out, "A city")).finalOutput, { name: "Paris", country: "France" });
console.log("passed");
