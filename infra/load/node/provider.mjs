// node-oidc-provider as an authorization server of the program's kind: one confidential client, refresh tokens that rotate, access tokens that are
// ES256 JWTs for one resource, all it stores in PostgreSQL. No ID token is asked for, the client and the account need no look-up.
// usage: node provider.mjs PORT | node provider.mjs create | node provider.mjs seed SESSIONS (prints their refresh tokens)
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import Provider from 'oidc-provider';
import { createTable, PostgresAdapter } from './adapter.mjs';
import { answers, pool, serve } from './workers.mjs';

const [command, sessions] = process.argv.slice(2);
const { CLIENT_ID, CLIENT_SECRET } = process.env;
const [resource, scope, day] = ['https://bench.example/gpt', 'jobs:read', 86400];
// Workers have the key of their primary.
const key = process.env.SIGNING_KEY ?? JSON.stringify({ ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'ES256' });

const create = () => new Provider(`http://127.0.0.1:${Number(command) || 1}`, {
  adapter: PostgresAdapter,
  clients: [{
    client_id: CLIENT_ID, client_secret: CLIENT_SECRET, token_endpoint_auth_method: 'client_secret_post', redirect_uris: ['https://bench.example/callback'],
    grant_types: ['authorization_code', 'refresh_token'], id_token_signed_response_alg: 'ES256',
  }],
  jwks: { keys: [JSON.parse(key)] },
  cookies: { keys: [randomBytes(32).toString('base64')] },
  routes: { token: '/oauth/token' },
  rotateRefreshToken: true,
  expiresWithSession: () => false,
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  ttl: { AccessToken: 900, Grant: 180 * day, RefreshToken: 30 * day },
  features: {
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => resource,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({ scope, audience: resource, accessTokenFormat: 'jwt', accessTokenTTL: 900, jwt: { sign: { alg: 'ES256' } } }),
    },
  },
});

async function seed(provider, number) {
  const accountId = `user_${number}`;
  const grant = new provider.Grant({ accountId, clientId: CLIENT_ID });
  grant.addResourceScope(resource, scope);
  const grantId = await grant.save();
  const client = await provider.Client.find(CLIENT_ID);
  return new provider.RefreshToken({ accountId, client, grantId, resource, scope, gty: 'authorization_code', expiresWithSession: false }).save();
}

if (command === 'create') {
  await createTable();
  await pool.end();
} else if (command === 'seed') {
  const provider = create();
  for (const token of await Promise.all(Array.from({ length: Number(sessions) }, (_, number) => seed(provider, number)))) console.log(token);
  await pool.end();
} else {
  serve(Number(command), answers ? create().callback() : undefined, { SIGNING_KEY: key });
}
