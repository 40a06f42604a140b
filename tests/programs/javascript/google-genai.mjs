import { FunctionCallingConfigMode, GoogleGenAI, createUserContent } from '@google/genai';
import { CITY_SCHEMA, COLOUR, COLOUR_SCHEMA, HELLO, QUESTION, fault, run } from './scenarios.mjs';

const client = new GoogleGenAI({});
const model = 'gemini-3.5-flash-lite';

await run({
  plain: async () => (await client.models.generateContent({ model, contents: HELLO })).text,
  stream: async () => {
    const pieces = [];
    for await (const chunk of await client.models.generateContentStream({ model, contents: HELLO })) pieces.push(chunk.text || '');
    return pieces.filter(Boolean);
  },
  tool: async () => {
    const tools = [{ functionDeclarations: [{ name: 'get_weather', description: 'The weather in a city now.', parametersJsonSchema: CITY_SCHEMA }] }];
    const toolConfig = { functionCallingConfig: { mode: FunctionCallingConfigMode.ANY } };
    const asked = await client.models.generateContent({ model, contents: QUESTION, config: { tools, toolConfig } });
    const [call] = asked.functionCalls;
    const functionResponse = { id: call.id, name: call.name, response: { result: `${call.args.city}: 4 degrees, rain` } };
    const contents = [createUserContent(QUESTION), asked.candidates[0].content, createUserContent({ functionResponse })];
    const answer = await client.models.generateContent({ model, contents, config: { tools } });
    return { name: call.name, input: call.args, answer: answer.text };
  },
  schema: async () => {
    const config = { responseMimeType: 'application/json', responseJsonSchema: COLOUR_SCHEMA };
    return JSON.parse((await client.models.generateContent({ model, contents: COLOUR, config })).text);
  },
  error: () => client.models.generateContent({ model: 'nobody', contents: HELLO }),
  retry: async () => {
    await fault('rate_limited', 'gemini');
    return (await client.models.generateContent({ model, contents: HELLO })).text;
  },
  told: async () => {
    await fault('rate_limited', 'gemini');
    const patient = new GoogleGenAI({ httpOptions: { retryOptions: { attempts: 3 } } });
    return (await patient.models.generateContent({ model, contents: HELLO })).text;
  },
  abort: async () => {
    await fault('stalled', 'gemini');
    const config = { abortSignal: AbortSignal.timeout(500) };
    for await (const _ of await client.models.generateContentStream({ model, contents: HELLO, config }));
  },
});
