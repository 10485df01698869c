// An OpenID provider that this project did not write, as the place where people sign in.
// usage: node oidc-provider.mjs PORT CLIENT_ID CLIENT_SECRET REDIRECT_URI
import { webcrypto } from 'node:crypto';
import Provider from 'oidc-provider';

globalThis.crypto ??= webcrypto; // node 18

const [port, clientId, clientSecret, redirectUri] = process.argv.slice(2);
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{ client_id: clientId, client_secret: clientSecret, redirect_uris: [redirectUri], response_types: ['code'], grant_types: ['authorization_code'] }],
  cookies: { keys: ['only for tests'] },
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
  conformIdTokenClaims: false, // as Clerk does: email and name are in the ID token
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, email: `${id}@example.com`, email_verified: true, name: `Person ${id}` }) }),
  pkce: { required: () => true, methods: ['S256'] },
});
provider.listen(Number(port), '127.0.0.1', () => console.log('ready'));

process.stdin.on('end', () => process.exit()).resume(); // ends with the test run, also when that is killed
