// The README's pictures, from a running instance.
// usage: node screenshots.mjs BASE_URL FOLDER CLIENT_ID REDIRECT_URI
import { launch, looks } from './chromium.mjs';

const [baseUrl, folder, clientId, redirectUri] = process.argv.slice(2);
const wanted = { 'phone-light': ['sign-in', 'consent'], 'phone-dark': ['sign-in', 'consent'], 'desktop-light': ['consent'] };
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
    await context.close();
  }
} finally {
  await browser.close();
}

async function picture(page, name, look) {
  if (wanted[look.name].includes(name)) {
    await page.screenshot({ path: `${folder}/${name}-${look.name}.png` });
  }
}
