// An MCP host of the official SDK, version 1 or 2, that knows nothing but the URL: it is refused, finds the authorization server, registers,
// lets a person sign in and agree, lists and calls tools, asks for more (step-up), refreshes, twenty calls at once with one expired token, and
// sees that it is over when the person ends it.
// usage: node mcp-host.mjs v1|v2 BASE_URL USER
import { webcrypto } from 'node:crypto';
import { approve } from './person.mjs';

globalThis.crypto ??= webcrypto; // node 18
const [version, baseUrl, user] = process.argv.slice(2);
const { Client, StreamableHTTPClientTransport } = version === 'v2'
  ? await import('@modelcontextprotocol/client')
  : { ...await import('@modelcontextprotocol/sdk/client/index.js'), ...await import('@modelcontextprotocol/sdk/client/streamableHttp.js') };

const kept = { asked: [] };
const redirectUrl = 'http://127.0.0.1:3999/callback';
const provider = {
  redirectUrl,
  clientMetadata: { client_name: `Host ${version}`, redirect_uris: [redirectUrl], grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'], token_endpoint_auth_method: 'none' },
  clientInformation: () => kept.client,
  saveClientInformation: client => { kept.client = client; },
  tokens: () => kept.tokens,
  saveTokens: tokens => { kept.tokens = tokens; },
  redirectToAuthorization: url => { kept.asked.push(url.searchParams.get('scope')); kept.authorizeUrl = url; },
  saveCodeVerifier: verifier => { kept.verifier = verifier; },
  codeVerifier: () => kept.verifier,
  invalidateCredentials: kind => { kept.tokens = kind === 'tokens' || kind === 'all' ? undefined : kept.tokens; },
  saveDiscoveryState: state => { kept.discovery = state; },
  discoveryState: () => kept.discovery,
};
let posts = 0; // at the token endpoint
const counting = (url, init) => {
  posts += String(url).endsWith('/oauth/token') ? 1 : 0;
  return fetch(url, init);
};
const open = () => new StreamableHTTPClientTransport(new URL(`${baseUrl}/gpt/mcp`), { authProvider: provider, fetch: counting });
const options = version === 'v2' ? { versionNegotiation: { mode: 'auto' } } : undefined;
const newClient = () => new Client({ name: 'test', version: '1.0.0' }, options);
const failure = promise => promise.then(() => 'none', error => error.constructor.name);

async function agree(transport) {
  const redirect = await approve(kept.authorizeUrl, user, redirectUrl);
  await (version === 'v2' ? transport.finishAuth(redirect.searchParams) : transport.finishAuth(redirect.searchParams.get('code')));
}

const refused = open();
const refusal = await failure(newClient().connect(refused));
await agree(refused);

let transport = open();
let client = newClient();
await client.connect(transport);
const { tools } = await client.listTools();
const call = (name, args) => client.callTool({ name, arguments: args });
const found = (await call('searchJobs', { query: 'baker' })).structuredContent?.result?.[0]?.title;
const wrong = (await call('searchJobs', {})).content[0].text;
const scope = kept.tokens.scope;

let sent = null;
if (version === 'v2') {
  const denied = await failure(call('submitApplication', { jobId: 'job-2' }));
  await agree(transport);
  sent = { denied, status: (await call('submitApplication', { jobId: 'job-2' })).structuredContent?.result?.status };
}

// Version 1 gives up when two calls of one connection meet a 401 at once, so there each has a connection of its own.
const callers = await Promise.all(Array.from({ length: 20 }, async () => {
  const one = version === 'v2' ? client : newClient();
  await (one === client ? undefined : one.connect(open()));
  return one;
}));
kept.tokens = { ...kept.tokens, access_token: 'expired' };
posts = 0;
const all = await Promise.all(callers.map(one => one.callTool({ name: 'getJobDetails', arguments: { id: 'job-2' } })));
const parallel = { answered: all.filter(result => result.structuredContent?.result?.title === 'Baker').length, refreshed: kept.tokens.access_token !== 'expired', posts };

await fetch(`${baseUrl}/oauth/revoke`, { method: 'POST', body: new URLSearchParams({ token: kept.tokens.refresh_token, client_id: kept.client.client_id }) });
const asked = kept.asked.length;
let ended = 'none';
for (const end = Date.now() + 10_000; ended === 'none' && Date.now() < end;) { // within a second everywhere
  ended = await failure(call('get_profile', {}));
}
const revoked = { failure: ended, asksAgain: kept.asked.length > asked };
await client.close().catch(() => {});
console.log(JSON.stringify({ refusal, tools: tools.map(tool => tool.name), found, wrong, scope, asked: kept.asked, sent, parallel, revoked }));
process.exit();
