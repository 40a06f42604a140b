import Anthropic from '@anthropic-ai/sdk';
import { zodOutputFormat } from '@anthropic-ai/sdk/helpers/zod';
import { CITY_SCHEMA, COLOUR, Colour, HELLO, QUESTION, fault, run } from './scenarios.mjs';

const client = new Anthropic();
const model = 'claude-haiku-5-5';
const user = (content) => ({ model, max_tokens: 1024, messages: [{ role: 'user', content }] });
const text = (message) => message.content.filter((block) => block.type === 'text').map((block) => block.text).join('');

await run({
  plain: async () => text(await client.messages.create(user(HELLO))),
  stream: async () => {
    const pieces = [];
    const stream = client.messages.stream(user(HELLO)).on('text', (piece) => pieces.push(piece));
    await stream.finalMessage();
    return pieces;
  },
  tool: async () => {
    const tools = [{ name: 'get_weather', description: 'The weather in a city now.', input_schema: CITY_SCHEMA }];
    const message = await client.messages.create({ ...user(QUESTION), tools, tool_choice: { type: 'any' } });
    const call = message.content.find((block) => block.type === 'tool_use');
    const result = { type: 'tool_result', tool_use_id: call.id, content: `${call.input.city}: 4 degrees, rain` };
    const messages = [...user(QUESTION).messages, { role: 'assistant', content: message.content }, { role: 'user', content: [result] }];
    return { name: call.name, input: call.input, answer: text(await client.messages.create({ ...user(QUESTION), messages, tools })) };
  },
  schema: async () => (await client.messages.parse({ ...user(COLOUR), output_config: { format: zodOutputFormat(Colour) } })).parsed_output,
  error: () => client.messages.create({ ...user(HELLO), model: 'nobody' }),
  retry: async () => {
    await fault('rate_limited', 'anthropic');
    return text(await client.messages.create(user(HELLO)));
  },
  abort: async () => {
    await fault('stalled', 'anthropic');
    await client.messages.stream(user(HELLO), { signal: AbortSignal.timeout(500) }).finalMessage();
  },
});
