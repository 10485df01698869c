// Walks the pages with a real browser, script switched off: on a phone and on a desktop, in light and in dark.
// Prints JSON: the pages that were seen and every problem that was found.
// usage: node browser.mjs BASE_URL FOLDER CLIENTS
//   FOLDER    where the pictures go
//   CLIENTS   JSON: [{"id", "secret", "redirectUri"}, ...] three confidential clients without PKCE; the redirect URIs are on one
//             port of 127.0.0.1 where nobody listens: this program plays the client there. At most two connected apps per person.
import { createServer } from 'node:http';
import { findings } from './page-checks.mjs';
import { launch, looks } from './chromium.mjs';

const [baseUrl, folder, clientsText] = process.argv.slice(2);
const clients = JSON.parse(clientsText);
const problems = [];
const seen = [];

const listener = createServer((request, response) => response.end(`client ${request.url}`));
await new Promise((resolve) => listener.listen(Number(new URL(clients[0].redirectUri).port), '127.0.0.1', resolve));

const browser = await launch();
try {
  for (const look of looks) {
    await walk(look);
  }
} finally {
  await browser.close();
  listener.close();
}
console.log(JSON.stringify({ seen, problems }));

async function walk(look) {
  const user = `browser.${look.name}@${'a-long-company-name'.repeat(3)}.example`;
  const context = await browser.newContext(look.options);
  const page = await context.newPage();
  page.on('console', (message) => { // a refusal of form-action, for example; not the mere status of an error page
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) {
      problems.push(`${look.name}: the browser says: ${message.text()}`);
    }
  });

  // First connection: sign-in, consent, tokens.
  await page.goto(link(clients[0], 'jobs:read'));
  await examine(page, look, 'sign-in', ['user_id', 'Sign in']);
  await signIn(page, user);
  await examine(page, look, 'consent', ['Not you?', 'Allow', 'Cancel']);
  await page.getByRole('button', { name: 'Allow' }).click();
  await exchange(await arrive(page, look, clients[0]), clients[0]);

  // More scopes than before, by keyboard alone.
  await page.goto(link(clients[0], 'jobs:read applications:read applications:write resume:read'));
  await page.keyboard.press('Tab');
  await page.keyboard.press('ControlOrMeta+A');
  await page.keyboard.type(user);
  await page.keyboard.press('Enter');
  await page.waitForURL(/continue=/);
  await examine(page, look, 'consent-grown', ['Not you?', 'Allow', 'Cancel']);
  if (await page.getByText('New', { exact: true }).count() !== 3) {
    problems.push(`${look.name}: not three scopes are marked as new`);
  }
  await page.getByRole('button', { name: 'Cancel' }).focus();
  await page.keyboard.press('Enter');
  const denied = await arrive(page, look, clients[0]);
  if (denied.searchParams.get('error') !== 'access_denied') {
    problems.push(`${look.name}: Cancel led to ${denied}`);
  }

  // A second app, then a third one: the limit.
  await connect(page, look, clients[1], user);
  await page.goto(link(clients[2], 'jobs:read'));
  await signIn(page, user);
  await examine(page, look, 'session-limit', ['Not you?', 'Disconnect', 'Disconnect', 'Allow', 'Cancel']);
  await page.getByRole('button', { name: /^Disconnect/ }).last().click();
  if (await page.getByRole('button', { name: /^Disconnect/ }).count() !== 0) {
    problems.push(`${look.name}: the page still asks to disconnect an app`);
  }
  await page.getByRole('button', { name: 'Allow' }).click();
  await arrive(page, look, clients[2]);

  await page.goto(link({ ...clients[0], redirectUri: 'https://elsewhere.example/callback' }, 'jobs:read'));
  await examine(page, look, 'error', []);
  await page.goto(`${baseUrl}/dev/callback?code=${'A'.repeat(43)}&state=x`);
  await examine(page, look, 'callback', []);
  await page.goto(link(clients[0], 'jobs:read'));
  await signIn(page, 'not usable');
  await examine(page, look, 'sign-in-problem', ['user_id', 'Sign in']);
  await context.close();
}

function link(client, scope) {
  return `${baseUrl}/oauth/authorize?${new URLSearchParams({ response_type: 'code', client_id: client.id, redirect_uri: client.redirectUri, scope, state: 'x' })}`;
}

async function signIn(page, user) {
  await page.getByLabel('User id').fill(user);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

async function connect(page, look, client, user) {
  await page.goto(link(client, 'jobs:read'));
  await signIn(page, user);
  await page.getByRole('button', { name: 'Allow' }).click();
  await exchange(await arrive(page, look, client), client);
}

// The post and its redirect to another origin must not be blocked by form-action.
async function arrive(page, look, client) {
  try {
    await page.waitForURL((url) => url.href.startsWith(client.redirectUri), { timeout: 5000 });
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

async function examine(page, look, name, stops) {
  await page.screenshot({ path: `${folder}/${name}-${look.name}.png`, fullPage: true });
  problems.push(...(await findings(page, stops)).map((problem) => `${name}, ${look.name}: ${problem}`));
  seen.push(`${name}-${look.name}`);
}
