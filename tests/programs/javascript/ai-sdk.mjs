import { amazonBedrock } from '@ai-sdk/amazon-bedrock';
import { anthropic } from '@ai-sdk/anthropic';
import { createAzure } from '@ai-sdk/azure';
import { createGoogle } from '@ai-sdk/google';
import { openai } from '@ai-sdk/openai';
import { Output, generateText, streamText, tool } from 'ai';
import { COLOUR, City, Colour, HELLO, QUESTION, fault, run } from './scenarios.mjs';

const { env } = process;
// These two read no address from the environment, so that it is handed to them.
const azure = createAzure({ baseURL: `${env.AZURE_OPENAI_ENDPOINT}/openai/v1` });
const google = createGoogle({ baseURL: `${env.GOOGLE_GEMINI_BASE_URL}/v1beta`, apiKey: env.GEMINI_API_KEY });

const provider = process.argv[3];
const [make, id, nobody = 'nobody'] = {
  openai: [openai, 'gpt-6-luna'],
  anthropic: [anthropic, 'claude-haiku-5-5'],
  gemini: [google, 'gemini-3.5-flash-lite'],
  bedrock: [amazonBedrock, 'us.anthropic.claude-haiku-5-5', 'nobody.nothing-v1'],
  azure: [azure.chat, 'gpt-4o-mini'],
}[provider];
const model = make(id);

await run({
  plain: async () => (await generateText({ model, prompt: HELLO })).text,
  stream: async () => {
    const pieces = [];
    for await (const piece of streamText({ model, prompt: HELLO }).textStream) pieces.push(piece);
    return pieces;
  },
  tool: async () => {
    let called;
    const get_weather = tool({
      description: 'The weather in a city now.',
      inputSchema: City,
      execute: (input) => {
        called = { name: 'get_weather', input };
        return `${input.city}: 4 degrees, rain`;
      },
    });
    const messages = [{ role: 'user', content: QUESTION }];
    const first = await generateText({ model, messages, tools: { get_weather }, toolChoice: 'required' });
    const second = await generateText({ model, messages: [...messages, ...first.response.messages], tools: { get_weather } });
    return { ...called, answer: second.text };
  },
  schema: async () => (await generateText({ model, prompt: COLOUR, output: Output.object({ schema: Colour }) })).output,
  error: async () => (await generateText({ model: make(nobody), prompt: HELLO })).text,
  retry: async () => {
    await fault('rate_limited', provider);
    return (await generateText({ model, prompt: HELLO })).text;
  },
  abort: async () => {
    await fault('stalled', provider);
    for await (const part of streamText({ model, prompt: HELLO, abortSignal: AbortSignal.timeout(500) }).stream) {
      if (part.type === 'abort') return { aborted: true };
    }
  },
});
