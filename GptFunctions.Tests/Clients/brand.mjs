// Looks at the pages of a company that has a name, a colour, a logo and links, in English and in German, with a real browser: on a phone and on a desktop,
// in light and in dark, without script, and once with it. Prints JSON: the pages that were seen and every problem that was found.
// usage: node brand.mjs BASE_URL FOLDER PUBLIC_URL CLIENTS
//   BASE_URL     an instance in Development, PUBLIC_URL one in Production, both with the brand
//   FOLDER       where the pictures go
//   CLIENTS      JSON: [{"id", "redirectUri"}, ...]: public clients; the first is checked, the others are not
import { walk } from './walk.mjs';

const [baseUrl, folder, publicUrl, clientsText] = process.argv.slice(2);
const clients = JSON.parse(clientsText);
const words = {
  en: { allow: 'Allow', cancel: 'Cancel', notYou: 'Not you?', apps: 'See your connected apps' },
  de: { allow: 'Erlauben', cancel: 'Abbrechen', notYou: 'Nicht Ihr Konto?', apps: 'Verbundene Apps ansehen' },
};
const languages = { 'phone-light': 'de', 'phone-dark': 'en', 'desktop-light': 'en', 'desktop-dark': 'de' };

await walk(folder, visit, { script: 'desktop-light', optionsOf: (look) => ({ locale: { en: 'en-GB', de: 'de-AT' }[languageOf(look)] }) });

function languageOf(look) {
  return languages[look.name] ?? 'de';
}

async function visit(visitor) {
  const { page, look } = visitor;
  const language = languageOf(look);
  const say = words[language];

  await page.goto(publicUrl);
  await examine(visitor, language, 'front', [say.apps]);
  await page.goto(baseUrl); // in Development: for engineers, in English
  await examine(visitor, 'en', 'front-development', ['Connect the demo client']);

  for (const [index, client] of clients.entries()) {
    await page.goto(link(client));
    await visitor.signIn(`brand.${look.name}`);
    await examine(visitor, language, `brand-consent-${index}`, [say.notYou, say.allow, say.cancel]);
    const isCalm = await page.getByRole('button', { name: say.allow }).evaluate((button) => getComputedStyle(button).backgroundColor === 'rgba(0, 0, 0, 0)');
    if (isCalm !== index > 0) {
      visitor.tell(`Allow of client ${index} is ${isCalm ? 'not ' : ''}coloured`);
    }
  }

  // Somebody else answers.
  await page.getByRole('link', { name: say.notYou }).click();
  await visitor.signIn('somebody.else');
  if (await page.getByText('somebody.else', { exact: true }).count() !== 1) {
    visitor.tell('nobody else is asked');
  }

  await page.goto(link({ ...clients[0], redirectUri: 'https://elsewhere.example/callback' }));
  await examine(visitor, language, 'brand-error', []);
}

function link(client) {
  const parameters = { response_type: 'code', client_id: client.id, redirect_uri: client.redirectUri, state: 'x', code_challenge_method: 'S256' };
  return `${baseUrl}/oauth/authorize?${new URLSearchParams({ ...parameters, code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM' })}`;
}

// What must be true of these pages besides.
async function examine(visitor, language, name, stops) {
  const inside = await visitor.page.evaluate(() => ({
    lang: document.documentElement.lang,
    broken: [...document.images].filter((image) => !image.complete || image.naturalWidth === 0).map(({ src }) => src),
    loose: [...document.querySelectorAll('main *')].filter((element) => !element.closest('bdi, code')
      && [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && /[\u202a-\u202e\u2066-\u2069]/.test(node.textContent))).length,
  }));
  if (inside.lang !== language || inside.broken.length > 0 || inside.loose > 0) {
    visitor.tell(`${name}: ${JSON.stringify(inside)}`);
  }
  await visitor.examine(name, stops);
}
