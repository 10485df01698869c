// The whole life of a token with simple-oauth2, without PKCE and without discovery, as older clients do it.
// usage: node simple-oauth2.mjs BASE_URL CLIENT_ID SECRET REDIRECT_URI header|body
import { AuthorizationCode } from 'simple-oauth2';
import { approve } from './person.mjs';

const [baseUrl, clientId, secret, redirectUri, authorizationMethod] = process.argv.slice(2);
const client = new AuthorizationCode({
  client: { id: clientId, secret },
  auth: { tokenHost: baseUrl, tokenPath: '/oauth/token', revokePath: '/oauth/revoke', authorizePath: '/oauth/authorize' },
  options: { authorizationMethod, bodyFormat: 'form' },
});

const state = 'state with 100% +special& characters';
const redirect = await approve(client.authorizeURL({ redirect_uri: redirectUri, scope: 'jobs:read', state }), `user_simple_${authorizationMethod}`, redirectUri);
const exchanged = await client.getToken({ code: redirect.searchParams.get('code'), redirect_uri: redirectUri });
const refreshed = await exchanged.refresh();
await refreshed.revoke('refresh_token');

let afterRevocation;
try {
  await refreshed.refresh();
} catch (error) {
  afterRevocation = error.data?.payload?.error ?? String(error);
}

console.log(JSON.stringify({ state: redirect.searchParams.get('state') === state, issuer: redirect.searchParams.get('iss'), tokenType: exchanged.token.token_type, scope: exchanged.token.scope,
  isExpired: exchanged.expired(), isRotated: refreshed.token.refresh_token !== exchanged.token.refresh_token, afterRevocation }));
