import OpenAI, { AzureOpenAI } from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { CITY_SCHEMA, COLOUR, Colour, HELLO, QUESTION, fault, run } from './scenarios.mjs';

const provider = process.argv[3];
const client = provider === 'azure' ? new AzureOpenAI() : new OpenAI();
const model = 'gpt-4o-mini';
const user = (content) => [{ role: 'user', content }];

await run({
  plain: async () => (await client.chat.completions.create({ model, messages: user(HELLO) })).choices[0].message.content,
  stream: async () => {
    const pieces = [];
    for await (const chunk of await client.chat.completions.create({ model, messages: user(HELLO), stream: true })) {
      pieces.push(chunk.choices[0]?.delta?.content || '');
    }
    return pieces.filter(Boolean);
  },
  tool: async () => {
    const tools = [{ type: 'function', function: { name: 'get_weather', description: 'The weather in a city now.', parameters: CITY_SCHEMA } }];
    const { message } = (await client.chat.completions.create({ model, messages: user(QUESTION), tools, tool_choice: 'required' })).choices[0];
    const [call] = message.tool_calls;
    const input = JSON.parse(call.function.arguments);
    const messages = [...user(QUESTION), message, { role: 'tool', tool_call_id: call.id, content: `${input.city}: 4 degrees, rain` }];
    const answer = await client.chat.completions.create({ model, messages, tools });
    return { name: call.function.name, input, answer: answer.choices[0].message.content };
  },
  schema: async () => {
    const completion = await client.chat.completions.parse({ model, messages: user(COLOUR), response_format: zodResponseFormat(Colour, 'colour') });
    return completion.choices[0].message.parsed;
  },
  error: () => client.chat.completions.create({ model: 'nobody', messages: user(HELLO) }),
  retry: async () => {
    await fault('rate_limited', provider);
    return (await client.chat.completions.create({ model, messages: user(HELLO) })).choices[0].message.content;
  },
  abort: async () => {
    await fault('stalled', provider);
    const signal = AbortSignal.timeout(500);
    for await (const _ of await client.chat.completions.create({ model, messages: user(HELLO), stream: true }, { signal }));
    return { aborted: signal.aborted };
  },
});
