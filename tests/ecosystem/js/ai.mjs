// The AI SDK with its provider for the Responses API: text, streams, tools, objects.
import assert from "node:assert/strict";
import { createOpenAI } from "@ai-sdk/openai";
import { generateObject, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const provider = createOpenAI({ baseURL: process.env.OPENAI_BASE_URL, apiKey: process.env.OPENAI_API_KEY });
const common = { model: provider.responses("gpt-4.1"), maxRetries: 0 };

const answer = await generateText({ ...common, prompt: "Hello" });
assert.match(answer.text, /'Hello' in message 1/);
assert.equal(answer.usage.totalTokens, 15);

const streamed = streamText({ ...common, prompt: "Hello", onError: ({ error }) => assert.fail(error) });
let text = "";
for await (const piece of streamed.textStream) text += piece;
assert.equal(text.trim(), answer.text);
assert.equal(await streamed.finishReason, "stop");

const asked = [];
const weather = tool({
  description: "The weather in a city.",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => {
    asked.push(city);
    return { degrees: 21 };
  },
});
const used = await generateText({ ...common, prompt: "?", stopWhen: stepCountIs(3), tools: { get_weather: weather } });
assert.deepEqual(asked, ["Paris"]);
assert.equal(used.steps.length, 2);
assert.match(used.text, /degrees/);

const schema = z.object({ name: z.string(), country: z.string() });
const made = await generateObject({ ...common, schema, prompt: "A city" });
assert.deepEqual(made.object, { name: "Paris", country: "France" });
console.log("passed");
