// What somebody does with the sentences that make connect prints, pasted as they stand: a GPT's action, by the schema that it imports and simple-oauth2,
// and a tool, by an MCP host of the official SDK that knows the server's URL alone.
// usage: node stranger.mjs USER OPERATION ARGUMENTS_AS_JSON <what-make-connect-printed
import { webcrypto } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { AuthorizationCode } from 'simple-oauth2';
import { approve } from './person.mjs';

globalThis.crypto ??= webcrypto; // node 18
const { Client } = await import('@modelcontextprotocol/sdk/client/index.js');
const { StreamableHTTPClientTransport } = await import('@modelcontextprotocol/sdk/client/streamableHttp.js');

const [user, operation, json] = process.argv.slice(2);
const printed = await text(process.stdin);
const read = (what, value = '\\S+') => new RegExp(`${what} +(${value})`).exec(printed)?.[1] ?? (() => { throw new Error(`make connect printed no ${what}:\n${printed}`); })();

async function action() {
  const [authorize, token] = [new URL(read('Authorization URL')), new URL(read('Token URL'))];
  const client = new AuthorizationCode({
    client: { id: read('Client ID'), secret: read('Client Secret') },
    auth: { tokenHost: token.origin, tokenPath: token.pathname, authorizeHost: authorize.origin, authorizePath: authorize.pathname },
    options: { authorizationMethod: 'body', bodyFormat: 'form' },
  });
  const redirectUri = `${authorize.origin}/dev/callback`; // where a GPT's own would stand
  const redirect = await approve(client.authorizeURL({ redirect_uri: redirectUri, scope: read('Scope', '.+').trim(), state: 'x' }), user, redirectUri);
  const tokens = await client.getToken({ code: redirect.searchParams.get('code'), redirect_uri: redirectUri });
  const document = await (await fetch(read('Schema, import from'))).json();
  const [path] = Object.entries(document.paths).find(([, methods]) => methods.get?.operationId === operation);
  const response = await fetch(`${document.servers[0].url}${path}?${new URLSearchParams(JSON.parse(json))}`, { headers: { authorization: `Bearer ${tokens.token.access_token}` } });
  return { status: response.status, answer: await response.json() };
}

async function tool() {
  const kept = {};
  const redirectUrl = 'http://127.0.0.1:3999/callback';
  const provider = {
    redirectUrl,
    clientMetadata: { client_name: 'Host', redirect_uris: [redirectUrl], grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'], token_endpoint_auth_method: 'none' },
    clientInformation: () => kept.client,
    saveClientInformation: client => { kept.client = client; },
    tokens: () => kept.tokens,
    saveTokens: tokens => { kept.tokens = tokens; },
    redirectToAuthorization: url => { kept.authorizeUrl = url; },
    saveCodeVerifier: verifier => { kept.verifier = verifier; },
    codeVerifier: () => kept.verifier,
  };
  const open = () => new StreamableHTTPClientTransport(new URL(read('as the server\'s URL:')), { authProvider: provider });
  const refused = open();
  await new Client({ name: 'test', version: '1.0.0' }).connect(refused).catch(error => error);
  const redirect = await approve(kept.authorizeUrl, user, redirectUrl);
  await refused.finishAuth(redirect.searchParams.get('code'));
  const client = new Client({ name: 'test', version: '1.0.0' });
  await client.connect(open());
  const { tools } = await client.listTools();
  const result = await client.callTool({ name: operation, arguments: JSON.parse(json) });
  await client.close();
  return { tools: tools.map(one => one.name), answer: result.structuredContent };
}

console.log(JSON.stringify({ action: await action(), tool: await tool() }));
process.exit();
