// Tests openapi-fetch with the types that openapi-typescript generates.
//
//     story.js OUTPUTS
//
// OUTPUTS is the file with the system's addresses. A user creates an agent and
// activates it, a product publishes an event, the user approves the run's gate
// and reads its trace. tsc --strict checks every path, parameter, body and answer
// against the document.

import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import createClient from 'openapi-fetch';
import type { components, paths } from './schema.js';

type Schemas = components['schemas'];

const patience = 60_000; // milliseconds until a condition must hold
const outputs = resolve(process.argv[2] ?? '');
const org = 'org_' + randomBytes(8).toString('hex');

function local(command: string, ...args: string[]): string {
  const all = [command, '-state', dirname(outputs), '-org', org, ...args];
  return execFileSync('.local/bin/local', all, { encoding: 'utf8' }).trim();
}

/** Puts an event on the bus and returns its id. */
function publish(product: string, type: string, payload: object): string {
  const folder = mkdtempSync(join(tmpdir(), 'story-'));
  try {
    const file = join(folder, 'event.json');
    writeFileSync(file, JSON.stringify({ event_type: type, source_product: product, org_id: org, payload }));
    return local('publish', '-file', file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function check(holds: boolean, found: unknown): asserts holds {
  if (!holds) throw new Error('wrong: ' + JSON.stringify(found, null, 2));
}

/** Returns the body of an answer that is not an error. */
function must<T>(answer: { data?: T; error?: unknown; response: Response }): T {
  if (answer.data === undefined) {
    throw new Error(`${answer.response.status} ${answer.response.url}: ${JSON.stringify(answer.error)}`);
  }
  return answer.data;
}

async function eventually<T>(condition: string, look: () => Promise<T | undefined>): Promise<T> {
  for (const deadline = Date.now() + patience; Date.now() < deadline; ) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((wake) => setTimeout(wake, 100));
  }
  throw new Error(`not within ${patience / 1000} s: ${condition}`);
}

const definition: Schemas['AgentInput'] = {
  name: 'Note every P1',
  category: 'service_desk',
  trigger: {
    type: 'bus_event',
    source_product: 'psa',
    event_type: 'ticket.escalated',
    filters: [{ field: 'escalated_to', operator: 'in', value: ['p1', 'p2'] }],
  },
  steps: [
    {
      id: 'summarize',
      type: 'ai_reason',
      model: 'quick',
      prompt: 'Summarize {{ event_payload.reason }}',
      output_schema: { type: 'object', required: ['summary'], properties: { summary: { type: 'string' } } },
    },
    { id: 'confirm', type: 'approval_gate', message: 'Add a note to {{ event_payload.ticket_id }}?' },
    {
      id: 'note',
      type: 'product_action',
      product: 'psa',
      action: 'add_note',
      params: { ticket_id: '{{ event_payload.ticket_id }}', body: 'Seen.' },
      if: { context: 'run', field: 'steps.summarize.output.summary', operator: 'exists', value: true },
    },
  ],
};

const baseUrl: string = JSON.parse(readFileSync(outputs, 'utf8')).api_url;
const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${local('token', '-role', 'owner')}` } });

publish('hub', 'org.created', { plan: 'growth' });
await eventually('the organization is known', async () => (await client.GET('/api/agents')).data);

// Create an agent, and activate it with its ETag in If-Match.
const created = await client.POST('/api/agents', { body: definition });
const draft = must(created);
check(draft.status === 'draft' && draft.version === 1, draft);
const third = draft.steps[2];
check(third?.type === 'product_action' && third.action === 'add_note', third);
const active = must(
  await client.PUT('/api/agents/{id}', {
    params: { path: { id: draft.id }, header: { 'If-Match': created.response.headers.get('ETag') ?? '' } },
    body: { status: 'active' },
  }),
);
check(active.status === 'active', active);

// Publish an event, and wait until the run waits for an approval.
const event = publish('psa', 'ticket.escalated', { ticket_id: 'tkt_7', escalated_to: 'p1', reason: 'Nobody can print.' });
const waiting = await eventually('the run waits for an approval', async () => {
  const query = { agent_id: draft.id, status: ['waiting_approval' as const, 'failed' as const] };
  return must(await client.GET('/api/executions', { params: { query } })).executions[0];
});

// Approve the action that the approval shows.
const open = must(await client.GET('/api/approvals', { params: { query: { status: 'pending' } } })).approvals[0];
check(open?.execution_id === waiting.id && open.shows.actions[0]?.action === 'add_note', open);
const decided = must(
  await client.POST('/api/approvals/{id}/decision', {
    params: { path: { id: open.id } },
    body: { decision: 'approved', note: 'Go — all of it.' },
  }),
);
check(decided.status === 'approved' && decided.votes[0]?.decision === 'approved', decided);

// Read the trace.
const run = await eventually('the run ends', async () => {
  const found = must(await client.GET('/api/executions/{id}', { params: { path: { id: waiting.id } } }));
  return found.completed_at === null ? undefined : found;
});
check(run.status === 'completed' && run.trigger_event.id === event, run);
check(run.trigger_event.payload['ticket_id'] === 'tkt_7', run.trigger_event);
check(run.steps.map((s) => `${s.step_id} ${s.status}`).join() === 'summarize completed,confirm completed,note completed', run.steps);
check(run.credits_used === 5 && run.steps[0]?.credits_used === 5, run);

// An unknown agent is an error in the form of the document.
const none = await client.GET('/api/agents/{id}', { params: { path: { id: 'agent_NONE' } } });
check(none.error?.error === 'agent_not_found' && none.error.status === 404, none.error);

console.log(`TypeScript client: ${draft.id} ran ${run.id}`);
