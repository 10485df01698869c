// Is what will be measured right? Refreshes a token, or delivers an event, as a stranger would, and says in one sentence what is wrong.
// usage: node check.mjs refresh BASE_URL REFRESH_TOKEN | node check.mjs webhook BASE_URL
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { Webhook } from 'svix';

const [what, base, token] = process.argv.slice(2);
const { CLIENT_ID, CLIENT_SECRET, CLERK_WEBHOOK_SECRET } = process.env;

async function metadata() {
  for (const name of ['oauth-authorization-server', 'openid-configuration']) {
    const response = await fetch(`${base}/.well-known/${name}`);
    if (response.ok) return response.json();
  }
  throw new Error(`${base} has no metadata`);
}

async function refresh(presented) {
  const response = await fetch(`${base}/oauth/token`, {
    method: 'POST',
    body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: presented, client_id: CLIENT_ID, client_secret: CLIENT_SECRET }),
  });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return JSON.parse(text);
}

async function deliver(id, body, time, secret) {
  const headers = { 'Content-Type': 'application/json', 'svix-id': id, 'svix-timestamp': String(Math.floor(time / 1000)), 'svix-signature': new Webhook(secret).sign(id, time, body) };
  const response = await fetch(`${base}/webhooks/clerk`, { method: 'POST', headers, body });
  return [response.status, await response.text()];
}

if (what === 'refresh') {
  const first = await refresh(token);
  assert.notEqual(first.refresh_token, token, 'the refresh token was not rotated');
  const second = await refresh(first.refresh_token);
  assert.notEqual(second.refresh_token, first.refresh_token, 'the refresh token was not rotated');
  const { issuer, jwks_uri: keys } = await metadata();
  const options = { issuer, audience: 'https://bench.example/gpt', algorithms: ['ES256'], typ: 'at+jwt' };
  for (const { access_token: accessToken, expires_in: lifetime, scope } of [first, second]) {
    const { payload } = await jwtVerify(accessToken, createRemoteJWKSet(new URL(keys)), options);
    assert.deepEqual([payload.exp - payload.iat, lifetime, payload.scope, scope, payload.client_id], [900, 900, 'jobs:read', 'jobs:read', CLIENT_ID]);
  }
} else {
  const id = `msg_${randomUUID()}`;
  const now = new Date();
  const user = {
    id: `user_${id}`, created_at: +now, updated_at: +now, email_addresses: [], primary_email_address_id: null, first_name: 'A', last_name: 'B', banned: false, locked: false,
  };
  const body = JSON.stringify({ data: user, object: 'event', timestamp: +now, type: 'user.created' });
  const [refused] = await deliver(id, body, now, `whsec_${Buffer.alloc(24, 7).toString('base64')}`);
  assert.ok(refused === 400 || refused === 401, 'a wrong signature was taken');
  assert.deepEqual(await deliver(id, body, now, CLERK_WEBHOOK_SECRET), [200, '{"received":true}']);
  assert.equal((await deliver(id, body, now, CLERK_WEBHOOK_SECRET))[0], 200, 'the same event again was refused');
}
