// What the walks through the pages have in common: a browser, and a window for each look, in which a program goes from page to page and looks at each.
import { findings } from './page-checks.mjs';
import { launch, looks as allLooks } from './chromium.mjs';

// Pictures and axe take most of the time: pictures are taken in the two looks that have nothing in common, and axe looks at one of them. Contrast,
// structure and the keyboard are looked at in all. WALK_IN_FULL=true leaves nothing out.
const isInFull = process.env.WALK_IN_FULL === 'true';
const looksWithPictures = ['phone-light', 'desktop-dark'];
const lookOfAxe = 'phone-light';

// A look with script switched on, where most of a walk is done without.
export function withScript(name) {
  const { options } = allLooks.find((look) => look.name === name);
  return { name: `${name}-script`, hasScript: true, options: { ...options, javaScriptEnabled: true } };
}

// Prints JSON: the pages that were seen and every problem that was found.
// visit: goes through the pages of one window; what it is given is in the class below
// script: the look that is walked once more with script
// optionsOf: what else the browser is told in a look (locale, ...)
export async function walk(folder, visit, { script = null, optionsOf = () => ({}) } = {}) {
  const seen = [];
  const problems = [];
  const browser = await launch();
  try {
    for (const look of script ? [...allLooks, withScript(script)] : allLooks) {
      const context = await browser.newContext({ ...look.options, ...optionsOf(look) });
      const page = await context.newPage();
      const visitor = new Visitor(page, look, folder, seen, problems);
      page.on('console', (message) => { // a refusal of form-action, for example; not the mere status of an error page
        if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) {
          visitor.tell(`the browser says: ${message.text()}`);
        }
      });
      page.on('dialog', async (dialog) => {
        visitor.tell(`a text ran as script: ${dialog.message()}`);
        await dialog.dismiss();
      });
      await visit(visitor);
      await context.close();
    }
  } finally {
    await browser.close();
  }
  console.log(JSON.stringify({ seen, problems }));
}

class Visitor {
  constructor(page, look, folder, seen, problems) {
    Object.assign(this, { page, look, folder, seen, problems });
  }

  tell(problem) {
    this.problems.push(`${this.look.name}: ${problem}`);
  }

  // A picture of the page, and all that must be true of it.
  // stops: where Tab must lead, in this order: an input's name or the text of a button or link
  async examine(name, stops = [], { fullPage = true } = {}) {
    if (isInFull || looksWithPictures.includes(this.look.name)) {
      await this.page.screenshot({ path: `${this.folder}/${name}-${this.look.name}.png`, fullPage });
    }
    for (const finding of await findings(this.page, stops, { isForAxe: isInFull || this.look.name === lookOfAxe })) {
      this.tell(`${name}: ${finding}`);
    }
    this.seen.push(`${name}-${this.look.name}`);
  }

  // In Development: who signs in says who it is.
  async signIn(user) {
    await this.page.getByLabel('User id').fill(user);
    await this.page.getByRole('button', { name: 'Sign in' }).click();
  }

  async at(path) {
    await this.page.waitForURL((url) => url.pathname === path);
  }
}
