// Looks at the overview and the sign-ins of operations with a real browser: on a phone and on a desktop, in light and in dark, without script, and once with.
// Prints JSON: the pages that were seen and every problem that was found.
// usage: node overview.mjs BASE_URL FOLDER USER
//   FOLDER  where the pictures go
//   USER    an operator; there are counts, processes and sign-ins already
import { walk } from './walk.mjs';

const [baseUrl, folder, user] = process.argv.slice(2);

await walk(folder, visit, { script: 'phone-light' });

async function visit(visitor) {
  const { page } = visitor;
  await page.goto(`${baseUrl}/operations/overview`);
  await visitor.signIn(user);
  await page.waitForURL(/operations\/overview/);
  await page.locator('.chart summary').first().click(); // the bars' table, without script
  await visitor.examine('operations-overview');
  if (await page.getByRole('img', { name: /^Webhooks by outcome: / }).count() !== 1) {
    visitor.tell('the bars have no name');
  }

  await page.getByRole('link', { name: 'Sign-ins' }).click();
  await page.locator('.story summary').first().click();
  await visitor.examine('operations-sign-ins');
  await page.getByLabel('Reached').selectOption('code delivered');
  await page.getByRole('button', { name: 'Show' }).click();
  await page.waitForURL(/step=code/);
  if (await page.getByText('the exchange never came').count() !== 1) {
    visitor.tell('the filter does not show the one sign-in whose exchange never came');
  }
  await page.goto(`${baseUrl}/operations/sign-ins?app=nobody`);
  await visitor.examine('operations-sign-ins-empty');
}
