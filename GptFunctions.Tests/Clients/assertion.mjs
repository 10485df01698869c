// A company's API checks x-gpt-assertion with jose and the published keys, as it would in production.
// usage: node assertion.mjs BASE_URL AUDIENCE ASSERTION
import { createRemoteJWKSet, jwtVerify } from 'jose';

const [baseUrl, audience, assertion] = process.argv.slice(2);
const keys = createRemoteJWKSet(new URL(`${baseUrl}/.well-known/jwks.json`));
const verify = options => jwtVerify(assertion, keys, { issuer: baseUrl, audience, typ: 'gpt-assertion+jwt', algorithms: ['ES256'], maxTokenAge: 60, requiredClaims: ['sub', 'exp', 'jti', 'internal_id'], ...options });

const { payload } = await verify({});
const refused = async options => verify(options).then(() => 'accepted', error => error.code);
console.log(JSON.stringify({ payload, otherAudience: await refused({ audience: 'another-api:3000' }), otherPort: await refused({ audience: audience.replace(/:\d+$/, ':1') }), later: await refused({ currentDate: new Date(Date.now() + 61_000) }) }));
