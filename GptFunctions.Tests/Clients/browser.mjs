// Walks the pages with a real browser, script switched off: on a phone and on a desktop, in light and in dark.
// Prints JSON: the pages that were seen and every problem that was found.
// usage: node browser.mjs BASE_URL FOLDER CLIENTS
//   FOLDER    where the pictures go
//   CLIENTS   JSON: [{"id", "secret", "redirectUri"}, ...] three confidential clients without PKCE; the redirect URIs are on one
//             port of 127.0.0.1 where nobody listens: this program plays the client there. At most two connected apps per person.
import { createServer } from 'node:http';
import { walk } from './walk.mjs';

const [baseUrl, folder, clientsText] = process.argv.slice(2);
const clients = JSON.parse(clientsText);

// The client's page names an icon, an empty one: a browser that has to look for one itself may do so when it is at the next page already, which
// forbids it.
const listener = createServer((request, response) => {
  response.setHeader('Content-Type', 'text/html');
  response.end('<!DOCTYPE html><html lang="en"><head><link rel="icon" href="data:,"><title>Client</title></head><body>Connected</body></html>');
});
await new Promise((resolve) => listener.listen(Number(new URL(clients[0].redirectUri).port), '127.0.0.1', resolve));

try {
  await walk(folder, visit);
} finally {
  listener.close();
}

async function visit(visitor) {
  const { page, look } = visitor;
  const user = `browser.${look.name}@${'a-long-company-name'.repeat(3)}.example`;

  // First connection: sign-in, consent, tokens.
  await page.goto(link(clients[0], 'jobs:read'));
  await visitor.examine('sign-in', ['user_id', 'Sign in']);
  await visitor.signIn(user);
  await visitor.examine('consent', ['Not you?', 'Allow', 'Cancel']);
  await page.getByRole('button', { name: 'Allow' }).click();
  await exchange(await arrive(visitor, clients[0]), clients[0]);

  // More scopes than before, by keyboard alone.
  await page.goto(link(clients[0], 'jobs:read applications:read applications:write resume:read'));
  await page.keyboard.press('Tab');
  await page.keyboard.press('ControlOrMeta+A');
  await page.keyboard.type(user);
  await page.keyboard.press('Enter');
  await page.waitForURL(/continue=/);
  await visitor.examine('consent-grown', ['Not you?', 'Allow', 'Cancel']);
  if (await page.getByText('New', { exact: true }).count() !== 3) {
    visitor.tell('not three scopes are marked as new');
  }
  await page.getByRole('button', { name: 'Cancel' }).focus();
  await page.keyboard.press('Enter');
  const denied = await arrive(visitor, clients[0]);
  if (denied.searchParams.get('error') !== 'access_denied') {
    visitor.tell(`Cancel led to ${denied}`);
  }

  // A second app, then a third one: the limit.
  await connect(visitor, clients[1], user);
  await page.goto(link(clients[2], 'jobs:read'));
  await visitor.signIn(user);
  await visitor.examine('session-limit', ['Not you?', 'Disconnect', 'Disconnect', 'Allow', 'Cancel']);
  await page.getByRole('button', { name: /^Disconnect/ }).last().click();
  if (await page.getByRole('button', { name: /^Disconnect/ }).count() !== 0) {
    visitor.tell('the page still asks to disconnect an app');
  }
  await page.getByRole('button', { name: 'Allow' }).click();
  await arrive(visitor, clients[2]);

  await page.goto(link({ ...clients[0], redirectUri: 'https://elsewhere.example/callback' }, 'jobs:read'));
  await visitor.examine('error');
  await page.goto(`${baseUrl}/dev/callback?code=${'A'.repeat(43)}&state=x`);
  await visitor.examine('callback');
  await page.goto(link(clients[0], 'jobs:read'));
  await visitor.signIn('not usable');
  await visitor.examine('sign-in-problem', ['user_id', 'Sign in']);
}

function link(client, scope) {
  return `${baseUrl}/oauth/authorize?${new URLSearchParams({ response_type: 'code', client_id: client.id, redirect_uri: client.redirectUri, scope, state: 'x' })}`;
}

async function connect(visitor, client, user) {
  const { page } = visitor;
  await page.goto(link(client, 'jobs:read'));
  await visitor.signIn(user);
  await page.getByRole('button', { name: 'Allow' }).click();
  await exchange(await arrive(visitor, client), client);
}

// The post and its redirect to another origin must not be blocked by form-action.
async function arrive({ page, look, problems }, client) {
  try {
    await page.waitForURL((url) => url.href.startsWith(client.redirectUri));
  } catch {
    throw new Error(`${look.name}: the browser did not come to ${client.redirectUri}; it is at ${page.url()}. ${problems.join('; ')}`);
  }
  return new URL(page.url());
}

async function exchange(redirect, client) {
  const form = { grant_type: 'authorization_code', code: redirect.searchParams.get('code'), redirect_uri: client.redirectUri, client_id: client.id, client_secret: client.secret };
  const response = await fetch(`${baseUrl}/oauth/token`, { method: 'POST', body: new URLSearchParams(form) });
  if (!response.ok) {
    throw new Error(`The token endpoint answered ${response.status}: ${await response.text()}`);
  }
}
