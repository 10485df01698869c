// Walks the pages for those on call with a real browser: on a phone and on a desktop, in light and in dark, without script, and once with it.
// Prints JSON: the pages that were seen and every problem that was found.
// usage: node operations.mjs BASE_URL FOLDER
//   FOLDER   where the pictures go
// What the pages show is made by OperationsBrowserTests.
import { walk } from './walk.mjs';

// A further page is a further line: its name, and its path below /operations.
const pages = [
  ['people', 'people'],
  ['people-nobody', 'people?q=nobody'],
  ['people-hostile', 'people?q=twins%40example.com'],
  ['person', 'people?user=user_ann'],
  ['person-hostile', 'people?user=user_hostile'],
  ['person-unknown', 'people?user=user_nobody'],
  ['person-end-all', 'people?user=user_ann&confirm=end-all'],
  ['apps', 'apps'],
  ['apps-none', 'apps?q=no-such-app'],
  ['apps-add', 'apps?confirm=add'],
  ['app', 'apps?app=coach'],
  ['app-disable', 'apps?app=coach&confirm=disable'],
  ['audit', 'audit'],
  ['audit-hostile', 'audit?user=user_hostile'],
  ['audit-none', 'audit?correlation=none'],
  ['audit-export', 'audit?user=user_ann&confirm=export'],
];
const withScriptToo = ['people', 'person-hostile', 'audit-export'];
const [baseUrl, folder] = process.argv.slice(2);

await walk(folder, visit, { script: 'phone-light' });

async function visit(visitor) {
  const { page, look } = visitor;
  await page.goto(`${baseUrl}/operations`);
  await visitor.signIn('user_operator');
  await page.getByRole('navigation', { name: 'Operations' }).waitFor();
  const areas = await page.getByRole('navigation').getByRole('link').allTextContents();
  for (const [name, path] of pages.filter(([name]) => !look.hasScript || withScriptToo.includes(name))) {
    await page.goto(`${baseUrl}/operations/${path}`);
    await visitor.examine(`operations-${name}`, name === 'people' ? [...areas, 'Sign out', 'q'] : [], { fullPage: !name.includes('hostile') });
  }

  // From one page to the next by its links, an action with the keyboard alone, and what it says when it is done.
  await page.goto(`${baseUrl}/operations/people`);
  await page.getByLabel('User id, e-mail or order id').fill(`leaves-${look.name}@example.com`);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { level: 1, name: 'Person' }).waitFor();
  await page.getByRole('link', { name: 'End all sessions' }).click();
  await page.getByRole('link', { name: 'Cancel' }).click();
  await page.getByText('live', { exact: true }).first().waitFor();
  await page.getByRole('link', { name: 'End all sessions' }).focus();
  await page.keyboard.press('Enter');
  await page.getByLabel('Why').evaluate((field) => field.removeAttribute('required')); // as a browser that does not know it
  await page.getByLabel('Why').focus();
  await page.keyboard.press('Enter');
  await page.getByRole('alert').waitFor();
  await visitor.examine('operations-person-asked-again');
  await page.getByLabel('Why').focus();
  await page.keyboard.type('left the company');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.getByRole('status').waitFor();
  await page.getByText('No app is connected.').waitFor();
  await visitor.examine('operations-person-ended');

  await page.goto(`${baseUrl}/operations/apps?confirm=add`);
  await page.getByLabel('Name, as people read it').fill('Career Coach');
  await page.getByLabel('GPT id').fill('g-coach');
  await page.getByRole('button', { name: 'Add' }).click();
  await page.getByText('Client Secret', { exact: true }).waitFor();
  await visitor.examine('operations-app-secret');
}
