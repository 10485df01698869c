// Walks the pages of connected apps with a real browser: on a phone and on a desktop, in light and in dark, without script, and once with it.
// Prints JSON: the pages that were seen and every problem that was found.
// usage: node connections.mjs BASE_URL FOLDER
//   FOLDER   where the pictures go
// The people connections-LOOK have apps already: see ConnectionsBrowserTests.
import { walk } from './walk.mjs';

const [baseUrl, folder] = process.argv.slice(2);

await walk(folder, visit, { script: 'phone-light' });

async function visit(visitor) {
  const { page, look } = visitor;
  const context = page.context();
  await page.goto(`${baseUrl}/connected-apps`);
  await visitor.examine('connections-sign-in', ['user_id', 'Sign in']);
  await visitor.signIn(`connections-${look.name}`);
  await visitor.at('/connections');
  const count = await page.getByRole('button', { name: /^Disconnect ./ }).count(); // with "Disconnect everything"
  await visitor.examine('connections', ['Sign out', 'Disconnect']);
  for (const name of await page.getByRole('heading', { level: 2 }).all()) {
    if (await name.locator('bdi').count() !== 1) {
      visitor.tell(`${await name.textContent()} stands without bdi`);
    }
  }

  // One app: asked once, kept, then not.
  await page.getByRole('button', { name: /^Disconnect .*Career Coach/ }).click();
  await visitor.examine('connections-disconnect', ['Disconnect', 'Keep it']);
  await page.getByRole('link', { name: 'Keep it' }).click();
  await visitor.at('/connections');
  await expectCount(visitor, count);
  await page.getByRole('button', { name: /^Disconnect .*Career Coach/ }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Disconnect' }).focus();
  await page.keyboard.press('Enter');
  await visitor.at('/connections');
  await expectCount(visitor, count - 1);
  await visitor.examine('connections-done', ['Sign out', 'Disconnect']);

  // A form of a session that is over, and what leads back from there.
  await page.getByRole('button', { name: 'Disconnect everything' }).click();
  await visitor.examine('connections-everything', ['Disconnect everything', 'Keep them']);
  const cookies = await context.cookies();
  await context.clearCookies({ name: 'gpt-page' });
  await page.getByRole('button', { name: 'Disconnect everything' }).click();
  await visitor.examine('connections-expired', ['Sign in again']);
  await context.addCookies(cookies);
  await page.goto(`${baseUrl}/connections/disconnect-all`);
  await page.getByRole('button', { name: 'Disconnect everything' }).click();
  await visitor.at('/connections');
  await expectCount(visitor, 0);
  await visitor.examine('connections-empty', ['Sign out']);

  await page.goto(`${baseUrl}/oauth/callback?state=page.x&code=x`);
  await visitor.examine('connections-error', ['Sign in again']);
  await page.goto(`${baseUrl}/connections`);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await visitor.at('/connections/signed-out');
  await visitor.examine('connections-signed-out', ['Sign in again']);
  await page.getByRole('link', { name: 'Sign in again' }).click();
  await visitor.at('/dev/sign-in');
}

async function expectCount(visitor, count) {
  const found = await visitor.page.getByRole('button', { name: /^Disconnect ./ }).count();
  if (found !== count) {
    visitor.tell(`${found} buttons to disconnect instead of ${count}`);
  }
}
