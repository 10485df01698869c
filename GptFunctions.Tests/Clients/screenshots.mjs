// The README's pictures, from a running instance.
// usage: GPT_CLIENT_SECRET=... node screenshots.mjs BASE_URL FOLDER CLIENT_ID REDIRECT_URI
import { launch, looks } from './chromium.mjs';

const [baseUrl, folder, clientId, redirectUri] = process.argv.slice(2);
const wanted = { 'phone-light': ['sign-in', 'consent', 'connections'], 'phone-dark': ['sign-in', 'consent'], 'desktop-light': ['consent', 'operations'] };
const link = `${baseUrl}/oauth/authorize?${new URLSearchParams({ response_type: 'code', client_id: clientId, redirect_uri: redirectUri, state: 'x' })}`;

const browser = await launch();
try {
  for (const look of looks.filter(({ name }) => wanted[name])) {
    const context = await browser.newContext(look.options);
    const page = await context.newPage();
    await page.goto(link);
    await picture(page, 'sign-in', look);
    await page.getByLabel('User id').fill('alice@example.com'); // who is asked again each time, because the answer below is no
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('button', { name: 'Allow' }).waitFor();
    await picture(page, 'consent', look);
    await page.getByRole('button', { name: 'Cancel' }).click();
    await connect(page);
    await page.goto(`${baseUrl}/connections`);
    await page.getByLabel('User id').fill('bob@example.com');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('button', { name: 'Disconnect everything' }).waitFor();
    await picture(page, 'connections', look);
    await context.close();
    if (wanted[look.name].includes('operations')) {
      await operations(look);
    }
  }
} finally {
  await browser.close();
}

// What those on call see of bob.
async function operations(look) {
  const context = await browser.newContext({ ...look.options, viewport: { width: 1000, height: 600 } });
  const page = await context.newPage();
  await page.goto(`${baseUrl}/operations/people?user=bob%40example.com`);
  if (page.url().includes('/operations')) {
    throw new Error('There is no /operations: start the instance with OPERATORS=operator@example.com.');
  }
  await page.getByLabel('User id').fill('operator@example.com');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { level: 1, name: 'Person' }).waitFor();
  await picture(page, 'operations', look);
  await context.close();
}

// Somebody else allows it, so that there is something to disconnect; the second time nobody is asked.
async function connect(page) {
  await page.goto(link);
  await page.getByLabel('User id').fill('bob@example.com');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.waitForLoadState();
  if (!page.url().startsWith(redirectUri)) {
    await page.getByRole('button', { name: 'Allow' }).click();
    await page.waitForURL((url) => url.href.startsWith(redirectUri));
  }
  const form = {
    grant_type: 'authorization_code', code: new URL(page.url()).searchParams.get('code'), redirect_uri: redirectUri, client_id: clientId,
    client_secret: process.env.GPT_CLIENT_SECRET,
  };
  const response = await fetch(`${baseUrl}/oauth/token`, { method: 'POST', body: new URLSearchParams(form) });
  if (!response.ok) {
    throw new Error(`The token endpoint answered ${response.status}: ${await response.text()}`);
  }
}

async function picture(page, name, look) {
  if (wanted[look.name].includes(name)) {
    await page.screenshot({ path: `${folder}/${name}-${look.name}.png` });
  }
}
