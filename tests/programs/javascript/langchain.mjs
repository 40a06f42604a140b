import { ChatAnthropic } from '@langchain/anthropic';
import { ChatBedrockConverse } from '@langchain/aws';
import { HumanMessage } from '@langchain/core/messages';
import { tool } from '@langchain/core/tools';
import { ChatGoogle } from '@langchain/google/node';
import { ChatGoogleGenerativeAI } from '@langchain/google-genai';
import { AzureChatOpenAI, ChatOpenAI } from '@langchain/openai';
import { COLOUR, City, Colour, HELLO, QUESTION, fault, run } from './scenarios.mjs';

const { env } = process;
const [provider, make, model, nobody = 'nobody', options] = {
  openai: ['openai', ChatOpenAI, 'gpt-4o-mini'],
  anthropic: ['anthropic', ChatAnthropic, 'claude-haiku-5-5'],
  bedrock: ['bedrock', ChatBedrockConverse, 'us.anthropic.claude-haiku-5-5', 'nobody.nothing-v1'],
  azure: ['azure', AzureChatOpenAI, 'gpt-4o-mini'],
  // These two read no address from the environment, so that it is handed to them.
  google: ['gemini', ChatGoogle, 'gemini-3.5-flash-lite', 'nobody', { endpoint: env.GOOGLE_GEMINI_BASE_URL, apiKey: env.GEMINI_API_KEY }],
  'google-genai': ['gemini', ChatGoogleGenerativeAI, 'gemini-3.5-flash-lite', 'nobody', { baseUrl: env.GOOGLE_GEMINI_BASE_URL }],
}[process.argv[3]];
const chat = new make({ model, ...(provider === 'azure' && { azureOpenAIApiDeploymentName: model }), ...options });

const getWeather = tool(({ city }) => `${city}: 4 degrees, rain`, { name: 'get_weather', description: 'The weather in a city now.', schema: City });

await run({
  plain: async () => (await chat.invoke(HELLO)).text,
  stream: async () => {
    const pieces = [];
    for await (const chunk of await chat.stream(HELLO)) pieces.push(chunk.text);
    return pieces.filter(Boolean);
  },
  tool: async () => {
    const messages = [new HumanMessage(QUESTION)];
    messages.push(await chat.bindTools([getWeather], { tool_choice: 'get_weather' }).invoke(messages));
    const [call] = messages[1].tool_calls;
    messages.push(await getWeather.invoke(call));
    return { name: call.name, input: call.args, answer: (await chat.bindTools([getWeather]).invoke(messages)).text };
  },
  schema: () => chat.withStructuredOutput(Colour).invoke(COLOUR),
  error: async () => {
    const unknown = new make({ model: nobody, ...(provider === 'azure' && { azureOpenAIApiDeploymentName: nobody }), ...options });
    return (await unknown.invoke(HELLO)).text;
  },
  retry: async () => {
    await fault('rate_limited', provider);
    return (await chat.invoke(HELLO)).text;
  },
  abort: async () => {
    await fault('stalled', provider);
    for await (const _ of await chat.stream(HELLO, { signal: AbortSignal.timeout(500) }));
  },
});
