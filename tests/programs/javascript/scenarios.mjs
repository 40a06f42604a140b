// What every script here asks of its client, and how it hands over what came: one line of JSON, which the test reads.
import { z } from 'zod';

export const HELLO = 'Say hello in five words.';
export const QUESTION = 'What is the weather in Oslo?';
export const COLOUR = 'Name a colour.';
export const Colour = z.object({ colour: z.enum(['red', 'blue']) });
export const City = z.object({ city: z.string().describe('Name of a city') });
export const COLOUR_SCHEMA = {
  type: 'object', properties: { colour: { type: 'string', enum: ['red', 'blue'] } }, required: ['colour'], additionalProperties: false,
};
export const CITY_SCHEMA = {
  type: 'object', properties: { city: { type: 'string', description: 'Name of a city' } }, required: ['city'], additionalProperties: false,
};

const GATEWAY = process.argv[2];

// Tells the gateway to do something wrong once to this provider: rate_limited, stalled, ...
export async function fault(kind, provider) {
  await fetch(`${GATEWAY}/course/faults`, { method: 'POST', body: JSON.stringify({ kind, provider, times: 1 }) });
}

// Runs the scenarios one after the other; an error is told by its name, status and message.
export async function run(scenarios) {
  const found = {};
  for (const [name, act] of Object.entries(scenarios)) {
    try {
      found[name] = await act();
    } catch (error) {
      const status = error.status ?? error.statusCode ?? error.$metadata?.httpStatusCode;
      found[name] = { error: error.name, status, message: error.message };
    }
  }
  console.log(JSON.stringify(found));
  process.exit(); // some clients keep their connections, and with them the program, for a while
}
