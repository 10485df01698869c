// The MCP conformance kit against the built-in server. The kit knows no access tokens, so a proxy of a few lines adds one: of another person for
// each scenario, because together they would be more than a session may ask in a minute.
// usage: node mcp-conformance.mjs BASE_URL PACKAGE SCENARIO[@VERSION]...     (prints what failed, by scenario)
import { createHash, randomBytes } from 'node:crypto';
import { spawn } from 'node:child_process';
import { createServer, request as send } from 'node:http';
import { approve } from './person.mjs';

const [baseUrl, kit, ...scenarios] = process.argv.slice(2);
const redirectUri = 'http://127.0.0.1:3999/callback';
const resource = `${baseUrl}/gpt/mcp`;

async function register(uri) {
  const body = JSON.stringify({ client_name: 'Conformance kit', redirect_uris: [uri], token_endpoint_auth_method: 'none' });
  return (await (await fetch(`${baseUrl}/oauth/register`, { method: 'POST', headers: { 'content-type': 'application/json' }, body })).json()).client_id;
}

async function signIn(clientId, user) {
  const verifier = randomBytes(32).toString('base64url');
  const challenge = createHash('sha256').update(verifier).digest('base64url');
  const query = new URLSearchParams({ response_type: 'code', client_id: clientId, redirect_uri: redirectUri, code_challenge: challenge, code_challenge_method: 'S256', resource });
  const redirect = await approve(`${baseUrl}/oauth/authorize?${query}`, user, redirectUri);
  const form = { grant_type: 'authorization_code', code: redirect.searchParams.get('code'), redirect_uri: redirectUri, client_id: clientId, code_verifier: verifier };
  return (await (await fetch(`${baseUrl}/oauth/token`, { method: 'POST', body: new URLSearchParams(form) })).json()).access_token;
}

function proxy(token) {
  const server = createServer((request, response) => {
    const headers = { ...request.headers, authorization: `Bearer ${token}` };
    const onward = send(resource, { method: request.method, headers }, answer => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  });
  return new Promise(resolve => server.listen(0, '127.0.0.1', () => resolve(server)));
}

function run(args, onText = () => {}) {
  return new Promise(resolve => {
    const child = spawn('node', ['--import', './mcp-conformance-load.mjs', `node_modules/${kit}/dist/index.js`, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', piece => { text += piece; onText(text); });
    }
    child.on('exit', () => resolve(text.replace(/\x1b\[\d+m/g, '')));
  });
}

const clientId = await register(redirectUri);
const results = {};
for (const [number, one] of scenarios.entries()) {
  const [scenario, version] = one.split('@');
  const versioned = version ? ['--spec-version', version] : [];
  let text;
  if (scenario.startsWith('authorization-')) {
    const port = 3900 + process.pid % 90;
    const callback = `http://127.0.0.1:${port}/callback`;
    let isAsked = false;
    // The grant goes by the metadata of a scenario before it, so all of them run.
    const own = scenario === 'authorization-code-grant' ? ['--client-id', await register(callback), '--resource', resource, '--port', String(port)] : ['--scenario', scenario];
    text = await run(['authorization', '--url', baseUrl, ...own, ...versioned], async shown => {
      const link = new RegExp(`${baseUrl}/oauth/authorize\\?\\S+`).exec(shown)?.[0];
      if (link && !isAsked) {
        isAsked = true;
        await fetch(await approve(link, `user_kit_${number}`, callback));
      }
    });
  } else {
    const server = await proxy(await signIn(clientId, `user_kit_${number}`));
    text = await run(['server', '--url', `http://127.0.0.1:${server.address().port}/mcp`, '--scenario', scenario, ...versioned]);
    server.close();
  }
  const passed = [...text.matchAll(/\] +SUCCESS/g)].length || Number(/^Total: (\d+) passed, 0 failed/m.exec(text)?.[1] ?? 0);
  const failed = [...text.matchAll(/\[([\w.-]+) *\] +FAILURE/g)].map(([, id]) => id);
  results[one] = { passed, failed, ...(passed === 0 ? { text: text.slice(-1500) } : {}) };
}
console.log(JSON.stringify(results));
process.exit();
