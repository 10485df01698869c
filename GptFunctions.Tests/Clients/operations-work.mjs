// Looks at the pages Webhooks, Messages, Countdowns and Purge with a real browser, signed in as an operator: on a phone and on a desktop, in light and in
// dark, without script, and once with it. Prints JSON: the pages that were seen and every problem that was found.
// usage: node operations-work.mjs BASE_URL FOLDER OPERATOR MESSAGE
//   FOLDER    where the pictures go
//   OPERATOR  a user id of OPERATORS
//   MESSAGE   the id of a message in the quarantine
import { walk } from './walk.mjs';

const [baseUrl, folder, operator, message] = process.argv.slice(2);
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

const withScriptToo = ['webhooks-failed', 'messages', 'countdowns-dead', 'purge'];

await walk(folder, visit, { script: 'desktop-light' });

async function visit(visitor) {
  const { page, look } = visitor;
  await page.goto(baseUrl + pages[0][1]);
  await visitor.signIn(operator);
  for (const [name, path] of pages.filter(([name]) => !look.hasScript || withScriptToo.includes(name))) {
    await page.goto(baseUrl + path);
    await visitor.examine(`work-${name}`);
  }
}
