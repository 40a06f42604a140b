import { BedrockRuntimeClient, ConverseCommand, ConverseStreamCommand } from '@aws-sdk/client-bedrock-runtime';
import { CITY_SCHEMA, COLOUR, COLOUR_SCHEMA, HELLO, QUESTION, fault, run } from './scenarios.mjs';

const client = new BedrockRuntimeClient();
const modelId = 'us.anthropic.claude-haiku-5-5';
const user = (text) => ({ modelId, messages: [{ role: 'user', content: [{ text }] }] });
const text = (response) => response.output.message.content.map((block) => block.text ?? '').join('');

await run({
  plain: async () => text(await client.send(new ConverseCommand(user(HELLO)))),
  stream: async () => {
    const pieces = [];
    for await (const event of (await client.send(new ConverseStreamCommand(user(HELLO)))).stream) {
      pieces.push(event.contentBlockDelta?.delta?.text || '');
    }
    return pieces.filter(Boolean);
  },
  tool: async () => {
    const toolSpec = { name: 'get_weather', description: 'The weather in a city now.', inputSchema: { json: CITY_SCHEMA } };
    const asked = { ...user(QUESTION), toolConfig: { tools: [{ toolSpec }] } };
    const forced = { ...asked, toolConfig: { ...asked.toolConfig, toolChoice: { any: {} } } };
    const { message } = (await client.send(new ConverseCommand(forced))).output;
    const { toolUse } = message.content.find((block) => block.toolUse);
    const toolResult = { toolUseId: toolUse.toolUseId, content: [{ text: `${toolUse.input.city}: 4 degrees, rain` }] };
    const messages = [...asked.messages, message, { role: 'user', content: [{ toolResult }] }];
    return { name: toolUse.name, input: toolUse.input, answer: text(await client.send(new ConverseCommand({ ...asked, messages }))) };
  },
  schema: async () => {
    const structure = { jsonSchema: { name: 'colour', schema: JSON.stringify(COLOUR_SCHEMA) } };
    const outputConfig = { textFormat: { type: 'json_schema', structure } };
    return JSON.parse(text(await client.send(new ConverseCommand({ ...user(COLOUR), outputConfig }))));
  },
  error: () => client.send(new ConverseCommand({ ...user(HELLO), modelId: 'nobody.nothing-v1' })),
  retry: async () => {
    await fault('rate_limited', 'bedrock');
    return text(await client.send(new ConverseCommand(user(HELLO))));
  },
  abort: async () => {
    await fault('stalled', 'bedrock');
    const { stream } = await client.send(new ConverseStreamCommand(user(HELLO)), { abortSignal: AbortSignal.timeout(500) });
    for await (const _ of stream);
  },
});
