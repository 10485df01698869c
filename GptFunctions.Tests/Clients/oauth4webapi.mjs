// The whole life of a token with oauth4webapi, by discovery and with PKCE.
// usage: node oauth4webapi.mjs BASE_URL CLIENT_ID SECRET REDIRECT_URI     (an empty SECRET for a public client)
import { webcrypto } from 'node:crypto';
import { approve } from './person.mjs';

globalThis.crypto ??= webcrypto; // node 18
const oauth = await import('oauth4webapi');

const [baseUrl, clientId, secret, redirectUri] = process.argv.slice(2);
const plainHttp = { [oauth.allowInsecureRequests]: true };
const client = { client_id: clientId };
const authentication = secret ? oauth.ClientSecretBasic(secret) : oauth.None();

const resource = new URL(`${baseUrl}/gpt`);
const protectedResource = await oauth.processResourceDiscoveryResponse(resource, await oauth.resourceDiscoveryRequest(resource, plainHttp));
const issuer = new URL(protectedResource.authorization_servers[0]);
const server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...plainHttp }));

const verifier = oauth.generateRandomCodeVerifier();
const state = oauth.generateRandomState();
const authorizeUrl = new URL(server.authorization_endpoint);
authorizeUrl.search = new URLSearchParams({
  response_type: 'code', client_id: clientId, redirect_uri: redirectUri, scope: 'jobs:read resume:read', state, resource: protectedResource.resource,
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
});
const redirect = await approve(authorizeUrl, 'user_oauth4webapi', redirectUri);
const answer = oauth.validateAuthResponse(server, client, redirect, state); // iss of RFC 9207 included

const exchanged = await oauth.processAuthorizationCodeResponse(server, client,
  await oauth.authorizationCodeGrantRequest(server, client, authentication, answer, redirectUri, verifier, { additionalParameters: { resource: protectedResource.resource }, ...plainHttp }));

// RFC 9068: the access token as a resource server sees it, with the keys of jwks_uri
const claims = await oauth.validateJwtAccessToken(server, new Request(resource, { headers: { authorization: `Bearer ${exchanged.access_token}` } }), protectedResource.resource, plainHttp);

const refreshed = await oauth.processRefreshTokenResponse(server, client,
  await oauth.refreshTokenGrantRequest(server, client, authentication, exchanged.refresh_token, plainHttp));

async function isActive(token) {
  if (!secret) {
    return undefined; // introspection is for clients that can prove who they are
  }
  const introspection = await oauth.processIntrospectionResponse(server, client, await oauth.introspectionRequest(server, client, authentication, token, plainHttp));
  return introspection.active;
}

const activeBefore = await isActive(refreshed.access_token);
await oauth.processRevocationResponse(await oauth.revocationRequest(server, client, authentication, refreshed.refresh_token, plainHttp));
const activeAfter = await isActive(refreshed.access_token);

let afterRevocation;
try {
  await oauth.processRefreshTokenResponse(server, client, await oauth.refreshTokenGrantRequest(server, client, authentication, refreshed.refresh_token, plainHttp));
} catch (error) {
  afterRevocation = error.error;
}

console.log(JSON.stringify({ issuer: server.issuer, subject: claims.sub, audience: [claims.aud].flat()[0], scope: exchanged.scope, expiresIn: exchanged.expires_in,
  isRotated: refreshed.refresh_token !== exchanged.refresh_token, activeBefore, activeAfter, afterRevocation }));
