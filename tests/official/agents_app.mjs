// The Agents SDK for JavaScript on the embedded model: tools, a stream, a handoff, a session, MCP.
//
//     node agents_app.mjs MCP_URL
import assert from "node:assert/strict";
import { Agent, hostedMcpTool, MemorySession, OpenAIResponsesModel, run, setTracingDisabled, tool } from "@openai/agents";
import OpenAI from "openai";
import { z } from "zod";

setTracingDisabled(true);
const client = new OpenAI({ maxRetries: 0, timeout: 120_000 });
const model = new OpenAIResponsesModel(client, "gpt-4.1");
const brief = { temperature: 0, maxTokens: 300 };
const question = "What is the weather in Paris?";
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

const modelSettings = { ...brief, toolChoice: "get_weather" };
const agent = new Agent({ name: "Weather", instructions: "Be brief.", model, tools: [weather], modelSettings });
assert.match((await run(agent, question, { maxTurns: 4 })).finalOutput, /21/);
assert.match(asked[0], /Paris/);

const streamed = await run(agent, question, { maxTurns: 4, stream: true });
const kinds = new Set();
for await (const event of streamed) kinds.add(event.type);
await streamed.completed;
assert.match(streamed.finalOutput, /21/);
assert.ok(kinds.has("raw_model_stream_event") && kinds.has("run_item_stream_event"));

const spanish = new Agent({ name: "Spanish", instructions: "You answer in Spanish.", model, modelSettings: brief });
const required = { ...brief, toolChoice: "required" };
const triage = new Agent({ name: "Triage", model, handoffs: [spanish], modelSettings: required });
assert.equal((await run(triage, "Hola, buenos días.", { maxTurns: 3 })).lastAgent.name, "Spanish");

const plain = new Agent({ name: "Plain", instructions: "Be brief.", model, modelSettings: brief });
const session = new MemorySession();
await run(plain, "My name is Ada.", { session });
assert.match((await run(plain, "What is my name?", { session })).finalOutput, /Ada/);

const numbers = hostedMcpTool({ serverLabel: "numbers", serverUrl: process.argv[2], allowedTools: ["add"] });
const sums = new Agent({ name: "Sums", model, tools: [numbers], modelSettings: required });
assert.match((await run(sums, "What is 20 plus 22? Use the tool.", { maxTurns: 4 })).finalOutput, /42/);
console.log("passed");
