// The official SDK for JavaScript.
import assert from "node:assert/strict";
import OpenAI from "openai";
import { zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

const client = new OpenAI({ maxRetries: 0, timeout: 60_000 });
const model = "gpt-4.1";

const answer = await client.responses.create({ model, input: "Hello" });
assert.match(answer.output_text, /'Hello' in message 1/);

const stream = client.responses.stream({ model, input: "Hello" });
const kinds = [];
for await (const event of stream) kinds.push(event.type);
assert.equal(kinds.at(0), "response.created");
assert.equal(kinds.at(-1), "response.completed");
assert.equal((await stream.finalResponse()).output_text.trim(), answer.output_text);

const City = z.object({ name: z.string(), country: z.string() });
const parsed = await client.responses.parse({ model, input: "A city", text: { format: zodTextFormat(City, "city") } });
assert.deepEqual(parsed.output_parsed, { name: "Paris", country: "France" });

const conversation = await client.conversations.create({ items: [{ role: "user", content: "First" }] });
const turn = await client.responses.create({ model, input: "Second", conversation: conversation.id });
assert.match(turn.output_text, /in message 2/);
const items = [];
for await (const item of client.conversations.items.list(conversation.id, { limit: 2, order: "asc" })) items.push(item);
assert.equal(items.length, 3);

const compacted = await client.responses.compact({ model, previous_response_id: answer.id });
assert.deepEqual(compacted.output.map((item) => item.type), ["message", "compaction"]);
await client.responses.create({ model, input: [...compacted.output, { role: "user", content: "And now?" }] });
await assert.rejects(client.responses.retrieve("resp_none"), OpenAI.NotFoundError);
console.log("passed");
