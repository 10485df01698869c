// Looks at the pages of a company that has a name, a colour, a logo and links, in English and in German, with a real browser: on a phone and on a desktop,
// in light and in dark, without script, and once with it. Prints JSON: the pages that were seen and every problem that was found.
// usage: node brand.mjs BASE_URL PUBLIC_URL FOLDER CLIENTS
//   BASE_URL     an instance in Development, PUBLIC_URL one in Production, both with the brand
//   FOLDER       where the pictures go
//   CLIENTS      JSON: [{"id", "redirectUri"}, ...]: public clients; the first is checked, the others are not
import { findings } from './page-checks.mjs';
import { launch, looks } from './chromium.mjs';

const [baseUrl, publicUrl, folder, clientsText] = process.argv.slice(2);
const clients = JSON.parse(clientsText);
const problems = [];
const seen = [];
const words = {
  en: { allow: 'Allow', cancel: 'Cancel', notYou: 'Not you?', apps: 'See your connected apps' },
  de: { allow: 'Erlauben', cancel: 'Abbrechen', notYou: 'Nicht Ihr Konto?', apps: 'Verbundene Apps ansehen' },
};
const languages = { 'phone-light': 'de', 'phone-dark': 'en', 'desktop-light': 'en', 'desktop-dark': 'de' };
const withScript = { name: 'desktop-light-script', options: { ...looks.find(({ name }) => name === 'desktop-light').options, javaScriptEnabled: true } };

const browser = await launch();
try {
  for (const look of [...looks, withScript]) {
    await walk(look, languages[look.name] ?? 'de');
  }
} finally {
  await browser.close();
}
console.log(JSON.stringify({ seen, problems }));

async function walk(look, language) {
  const say = words[language];
  const context = await browser.newContext({ ...look.options, locale: { en: 'en-GB', de: 'de-AT' }[language] });
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

  await page.goto(publicUrl);
  await examine(page, look, language, 'front', [say.apps]);
  await page.goto(baseUrl); // in Development: for engineers, in English
  await examine(page, look, 'en', 'front-development', ['Connect the demo client']);

  for (const [index, client] of clients.entries()) {
    await page.goto(link(client));
    await page.getByLabel('User id').fill(`brand.${look.name}`);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await examine(page, look, language, `brand-consent-${index}`, [say.notYou, say.allow, say.cancel]);
    const isCalm = await page.getByRole('button', { name: say.allow }).evaluate((button) => getComputedStyle(button).backgroundColor === 'rgba(0, 0, 0, 0)');
    if (isCalm !== index > 0) {
      problems.push(`${look.name}: Allow of client ${index} is ${isCalm ? 'not ' : ''}coloured`);
    }
  }

  // Somebody else answers.
  await page.getByRole('link', { name: say.notYou }).click();
  await page.getByLabel('User id').fill('somebody.else');
  await page.getByRole('button', { name: 'Sign in' }).click();
  if (await page.getByText('somebody.else', { exact: true }).count() !== 1) {
    problems.push(`${look.name}: nobody else is asked`);
  }

  await page.goto(link({ ...clients[0], redirectUri: 'https://elsewhere.example/callback' }));
  await examine(page, look, language, 'brand-error', []);
  await context.close();
}

function link(client) {
  const parameters = { response_type: 'code', client_id: client.id, redirect_uri: client.redirectUri, state: 'x', code_challenge_method: 'S256' };
  return `${baseUrl}/oauth/authorize?${new URLSearchParams({ ...parameters, code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM' })}`;
}

async function examine(page, look, language, name, stops) {
  await page.screenshot({ path: `${folder}/${name}-${look.name}.png`, fullPage: true });
  const inside = await page.evaluate(() => ({
    lang: document.documentElement.lang,
    broken: [...document.images].filter((image) => !image.complete || image.naturalWidth === 0).map(({ src }) => src),
    loose: [...document.querySelectorAll('main *')].filter((element) => !element.closest('bdi, code')
      && [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && /[\u202a-\u202e\u2066-\u2069]/.test(node.textContent))).length,
  }));
  if (inside.lang !== language || inside.broken.length > 0 || inside.loose > 0) {
    problems.push(`${name}, ${look.name}: ${JSON.stringify(inside)}`);
  }
  problems.push(...(await findings(page, stops)).map((problem) => `${name}, ${look.name}: ${problem}`));
  seen.push(`${name}-${look.name}`);
}
