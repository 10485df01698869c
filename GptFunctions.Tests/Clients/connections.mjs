// Walks the pages of connected apps with a real browser: on a phone and on a desktop, in light and in dark, without script, and once with it.
// Prints JSON: the pages that were seen and every problem that was found.
// usage: node connections.mjs BASE_URL FOLDER
//   FOLDER   where the pictures go
// The people connections-LOOK have apps already: see ConnectionsBrowserTests.
import { findings } from './page-checks.mjs';
import { launch, looks } from './chromium.mjs';

const [baseUrl, folder] = process.argv.slice(2);
const problems = [];
const seen = [];
const withScript = { name: 'phone-light-script', options: { ...looks.find(({ name }) => name === 'phone-light').options, javaScriptEnabled: true } };

const browser = await launch();
try {
  for (const look of [...looks, withScript]) {
    await walk(look);
  }
} finally {
  await browser.close();
}
console.log(JSON.stringify({ seen, problems }));

async function walk(look) {
  const context = await browser.newContext(look.options);
  const page = await context.newPage();
  page.on('console', (message) => {
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) {
      problems.push(`${look.name}: the browser says: ${message.text()}`);
    }
  });
  page.on('dialog', async (dialog) => {
    problems.push(`${look.name}: a name ran as script: ${dialog.message()}`);
    await dialog.dismiss();
  });

  await page.goto(`${baseUrl}/connected-apps`);
  await examine(page, look, 'connections-sign-in', ['user_id', 'Sign in']);
  await page.getByLabel('User id').fill(`connections-${look.name}`);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await at(page, '/connections');
  const count = await page.getByRole('button', { name: /^Disconnect ./ }).count(); // with "Disconnect everything"
  await examine(page, look, 'connections', ['Sign out', 'Disconnect']);
  for (const name of await page.getByRole('heading', { level: 2 }).all()) {
    if (await name.locator('bdi').count() !== 1) {
      problems.push(`${look.name}: ${await name.textContent()} stands without bdi`);
    }
  }

  // One app: asked once, kept, then not.
  await page.getByRole('button', { name: /^Disconnect .*Career Coach/ }).click();
  await examine(page, look, 'connections-disconnect', ['Disconnect', 'Keep it']);
  await page.getByRole('link', { name: 'Keep it' }).click();
  await at(page, '/connections');
  await expectCount(page, look, count);
  await page.getByRole('button', { name: /^Disconnect .*Career Coach/ }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Disconnect' }).focus();
  await page.keyboard.press('Enter');
  await at(page, '/connections');
  await expectCount(page, look, count - 1);
  await examine(page, look, 'connections-done', ['Sign out', 'Disconnect']);

  // A form of a session that is over, and what leads back from there.
  await page.getByRole('button', { name: 'Disconnect everything' }).click();
  await examine(page, look, 'connections-everything', ['Disconnect everything', 'Keep them']);
  const cookies = await context.cookies();
  await context.clearCookies({ name: 'gpt-page' });
  await page.getByRole('button', { name: 'Disconnect everything' }).click();
  await examine(page, look, 'connections-expired', ['Sign in again']);
  await context.addCookies(cookies);
  await page.goto(`${baseUrl}/connections/disconnect-all`);
  await page.getByRole('button', { name: 'Disconnect everything' }).click();
  await at(page, '/connections');
  await expectCount(page, look, 0);
  await examine(page, look, 'connections-empty', ['Sign out']);

  await page.goto(`${baseUrl}/oauth/callback?state=page.x&code=x`);
  await examine(page, look, 'connections-error', ['Sign in again']);
  await page.goto(`${baseUrl}/connections`);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await at(page, '/connections/signed-out');
  await examine(page, look, 'connections-signed-out', ['Sign in again']);
  await page.getByRole('link', { name: 'Sign in again' }).click();
  await at(page, '/dev/sign-in');
  await context.close();
}

async function at(page, path) {
  await page.waitForURL((url) => url.pathname === path, { timeout: 5000 });
}

async function expectCount(page, look, count) {
  const found = await page.getByRole('button', { name: /^Disconnect ./ }).count();
  if (found !== count) {
    problems.push(`${look.name}: ${found} buttons to disconnect instead of ${count}`);
  }
}

async function examine(page, look, name, stops) {
  await page.screenshot({ path: `${folder}/${name}-${look.name}.png`, fullPage: true });
  problems.push(...(await findings(page, stops)).map((problem) => `${name}, ${look.name}: ${problem}`));
  seen.push(`${name}-${look.name}`);
}
