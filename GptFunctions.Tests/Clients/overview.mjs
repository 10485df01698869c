// Looks at the overview and the sign-ins of operations with a real browser: on a phone and on a desktop, in light and in dark, without script, and once with.
// Prints JSON: the pages that were seen and every problem that was found.
// usage: node overview.mjs BASE_URL FOLDER USER
//   FOLDER  where the pictures go
//   USER    an operator; there are counts, processes and sign-ins already
import { findings } from './page-checks.mjs';
import { launch, looks } from './chromium.mjs';

const [baseUrl, folder, user] = process.argv.slice(2);
const problems = [];
const seen = [];

const browser = await launch();
try {
  for (const look of looks) {
    await walk(look);
  }
  await walk({ ...looks[0], name: 'phone-script', options: { ...looks[0].options, javaScriptEnabled: true } });
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

  await page.goto(`${baseUrl}/operations/overview`);
  await page.getByLabel('User id').fill(user);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.waitForURL(/operations\/overview/);
  await page.locator('.chart summary').first().click(); // the bars' table, without script
  await examine(page, look, 'operations-overview');
  if (await page.getByRole('img', { name: /^Webhooks by outcome: / }).count() !== 1) {
    problems.push(`${look.name}: the bars have no name`);
  }

  await page.getByRole('link', { name: 'Sign-ins' }).click();
  await page.locator('.story summary').first().click();
  await examine(page, look, 'operations-sign-ins');
  await page.getByLabel('Reached').selectOption('code delivered');
  await page.getByRole('button', { name: 'Show' }).click();
  await page.waitForURL(/step=code/);
  if (await page.getByText('the exchange never came').count() !== 1) {
    problems.push(`${look.name}: the filter does not show the one sign-in whose exchange never came`);
  }
  await page.goto(`${baseUrl}/operations/sign-ins?app=nobody`);
  await examine(page, look, 'operations-sign-ins-empty');
  await context.close();
}

async function examine(page, look, name) {
  await page.screenshot({ path: `${folder}/${name}-${look.name}.png`, fullPage: true });
  problems.push(...(await findings(page, [])).map((problem) => `${name}, ${look.name}: ${problem}`));
  seen.push(`${name}-${look.name}`);
}
