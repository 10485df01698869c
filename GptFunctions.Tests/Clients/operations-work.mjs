// Looks at the pages Webhooks, Messages, Countdowns and Purge with a real browser, signed in as an operator: on a phone and on a desktop, in light and in
// dark, without script, and once with it. Prints JSON: the pages that were seen and every problem that was found.
// usage: node operations-work.mjs BASE_URL FOLDER OPERATOR MESSAGE
//   FOLDER    where the pictures go
//   OPERATOR  a user id of OPERATORS
//   MESSAGE   the id of a message in the quarantine
import { findings } from './page-checks.mjs';
import { launch, looks } from './chromium.mjs';

const [baseUrl, folder, operator, message] = process.argv.slice(2);
const problems = [];
const seen = [];
const withScript = { name: 'desktop-light-script', options: { ...looks.find(({ name }) => name === 'desktop-light').options, javaScriptEnabled: true } };
const pages = [
  ['webhooks', '/operations/webhooks'],
  ['webhooks-failed', '/operations/webhooks?status=failed'],
  ['webhooks-none', '/operations/webhooks?type=never'],
  ['webhooks-replay', '/operations/webhooks?confirm=replay&of=clerk&event=evt_1'],
  ['webhooks-replay-all', '/operations/webhooks?type=user.updated&confirm=replay-all'],
  ['messages', '/operations/messages'],
  ['messages-discard', `/operations/messages?confirm=discard&message=${message}`],
  ['countdowns', '/operations/countdowns'],
  ['countdowns-dead', '/operations/countdowns?status=dead&callbacks=pending'],
  ['countdowns-cancel', '/operations/countdowns?confirm=cancel&id=00000000-0000-0000-0000-00000000000b&what=order-b'],
  ['purge', '/operations/purge'],
  ['purge-run', '/operations/purge?confirm=run'],
];

const browser = await launch();
try {
  for (const look of [...looks, withScript]) {
    const context = await browser.newContext(look.options);
    const page = await context.newPage();
    page.on('console', (line) => {
      if (line.type() === 'error' && !line.text().startsWith('Failed to load resource')) {
        problems.push(`${look.name}: the browser says: ${line.text()}`);
      }
    });
    page.on('dialog', async (dialog) => {
      problems.push(`${look.name}: a value ran as script: ${dialog.message()}`);
      await dialog.dismiss();
    });
    await page.goto(baseUrl + pages[0][1]);
    await page.getByLabel('User id').fill(operator);
    await page.getByRole('button', { name: 'Sign in' }).click();
    for (const [name, path] of pages) {
      await page.goto(baseUrl + path);
      problems.push(...(await findings(page, [])).map((finding) => `${name} (${look.name}): ${finding}`));
      await page.screenshot({ path: `${folder}/work-${name}-${look.name}.png`, fullPage: true });
      seen.push(`${name} ${look.name}`);
    }
    await context.close();
  }
} finally {
  await browser.close();
}
console.log(JSON.stringify({ seen, problems }));
