import OpenAI from 'openai';
import { zodResponsesFunction, zodTextFormat } from 'openai/helpers/zod';
import { COLOUR, City, Colour, HELLO, QUESTION, fault, run } from './scenarios.mjs';

const client = new OpenAI();
const model = 'gpt-6-luna';

await run({
  plain: async () => (await client.responses.create({ model, input: HELLO })).output_text,
  stream: async () => {
    const pieces = [];
    for await (const event of await client.responses.create({ model, input: HELLO, stream: true })) {
      if (event.type === 'response.output_text.delta') pieces.push(event.delta);
    }
    return pieces;
  },
  tool: async () => {
    const tools = [zodResponsesFunction({ name: 'get_weather', parameters: City })];
    const response = await client.responses.parse({ model, input: QUESTION, tools, tool_choice: 'required' });
    const call = response.output.find((item) => item.type === 'function_call');
    const output = { type: 'function_call_output', call_id: call.call_id, output: `${call.parsed_arguments.city}: 4 degrees, rain` };
    const answer = await client.responses.create({ model, previous_response_id: response.id, input: [output], tools });
    return { name: call.name, input: call.parsed_arguments, answer: answer.output_text };
  },
  schema: async () => (await client.responses.parse({ model, input: COLOUR, text: { format: zodTextFormat(Colour, 'colour') } })).output_parsed,
  error: () => client.responses.create({ model: 'nobody', input: HELLO }),
  retry: async () => {
    await fault('rate_limited', 'openai');
    return (await client.responses.create({ model, input: HELLO })).output_text;
  },
  abort: async () => {
    await fault('stalled', 'openai');
    const signal = AbortSignal.timeout(500);
    for await (const _ of await client.responses.create({ model, input: HELLO, stream: true }, { signal }));
    return { aborted: signal.aborted };
  },
});
