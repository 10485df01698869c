// An MCP client of the official SDK that knows nothing but the URL: it is refused, finds the authorization server, registers itself,
// lets a person sign in and agree, and calls a tool.
// usage: node mcp-sign-in.mjs BASE_URL USER
import { webcrypto } from 'node:crypto';
import { approve } from './person.mjs';

globalThis.crypto ??= webcrypto; // node 18
const { Client } = await import('@modelcontextprotocol/sdk/client/index.js');
const { StreamableHTTPClientTransport } = await import('@modelcontextprotocol/sdk/client/streamableHttp.js');

const [baseUrl, user] = process.argv.slice(2);
const kept = {};
const provider = {
  redirectUrl: 'http://127.0.0.1:3999/callback',
  clientMetadata: { client_name: 'SDK client', redirect_uris: ['http://127.0.0.1:3999/callback'], grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'], token_endpoint_auth_method: 'none' },
  clientInformation: () => kept.client,
  saveClientInformation: client => { kept.client = client; },
  tokens: () => kept.tokens,
  saveTokens: tokens => { kept.tokens = tokens; },
  redirectToAuthorization: url => { kept.authorizeUrl = url; },
  saveCodeVerifier: verifier => { kept.verifier = verifier; },
  codeVerifier: () => kept.verifier,
};
const open = () => new StreamableHTTPClientTransport(new URL(`${baseUrl}/gpt/mcp`), { authProvider: provider });

const refused = open();
const refusal = await new Client({ name: 'test', version: '1.0.0' }).connect(refused).then(() => 'none', error => error.constructor.name);
const redirect = await approve(kept.authorizeUrl, user, provider.redirectUrl);
await refused.finishAuth(redirect.searchParams.get('code'));

const client = new Client({ name: 'test', version: '1.0.0' });
await client.connect(open());
const { tools } = await client.listTools();
await client.close();
console.log(JSON.stringify({ refusal, clientId: kept.client.client_id, clientSecret: kept.client.client_secret ?? null, scope: kept.tokens.scope, tools: tools.map(tool => tool.name) }));
