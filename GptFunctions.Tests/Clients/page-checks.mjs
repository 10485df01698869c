// What must be true of every page, whatever it says. The functions given to evaluate run inside the page.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const copies = new WeakMap();
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

// stops: where Tab must lead, in this order: an input's name or the text of a button or link.
export async function findings(page, stops, { isForAxe }) {
  return [
    ...await page.evaluate(sideways), ...await page.evaluate(contrast), ...await page.evaluate(structure), ...await keyboard(page, stops),
    ...isForAxe ? [...await zoomed(page), ...await accessibility(page)] : [],
  ];
}

// axe-core, with every rule that it has for WCAG and good practice. It waits for timers and promises, which a page without script does not have, so it
// gets a copy of the page, in a window of the same size and colours.
async function accessibility(page) {
  const copy = await copyFor(page);
  await copy.setContent(await page.content());
  if (!await copy.evaluate(() => 'axe' in globalThis)) {
    await copy.evaluate(axe);
  }
  return copy.evaluate(async () => (await globalThis.axe.run(document, { resultTypes: ['violations'] })).violations
    .map(({ id, help, nodes }) => `axe ${id}: ${help}: ${nodes.map(({ html }) => html.slice(0, 100)).join(' ')}`));
}

async function copyFor(page) {
  const context = page.context();
  if (!copies.has(context)) {
    const isDark = await page.evaluate(() => matchMedia('(prefers-color-scheme: dark)').matches);
    const own = await context.browser().newContext({ viewport: page.viewportSize(), colorScheme: isDark ? 'dark' : 'light' });
    copies.set(context, await own.newPage());
  }
  return copies.get(context);
}

async function keyboard(page, stops) {
  const reached = [];
  await page.evaluate(() => document.activeElement?.blur());
  for (let press = 0; press < stops.length; press++) {
    await page.keyboard.press('Tab');
    const stop = await page.evaluate(() => {
      const element = document.activeElement;
      return { name: element.matches('input') ? element.name : element.textContent.trim(), outline: parseFloat(getComputedStyle(element).outlineWidth) };
    });
    reached.push(stop.name);
    if (!(stop.outline >= 2)) {
      return [`the focus on ${stop.name} cannot be seen`];
    }
  }
  await page.evaluate(() => document.activeElement?.blur());
  return reached.join() === stops.join() ? [] : [`Tab leads to ${reached.join(', ')} instead of ${stops.join(', ')}`];
}

function sideways() {
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth <= clientWidth) {
    return [];
  }
  const wide = [...document.querySelectorAll('body :not(thead *)')].filter((element) => element.getBoundingClientRect().right > clientWidth).slice(0, 5);
  return [`scrolls sideways: ${scrollWidth} pixels wide in a window of ${clientWidth}: ${wide.map(({ outerHTML }) => outerHTML.slice(0, 120)).join(' ')}`];
}

// WCAG 2.1, 1.4.10: a desktop's page at 400 %, a phone's where somebody needs large letters.
async function zoomed(page) {
  const size = page.viewportSize();
  await page.setViewportSize({ width: 320, height: 512 });
  const problems = await page.evaluate(sideways);
  await page.setViewportSize(size);
  return problems;
}

function structure() {
  const problems = [];
  if (!document.documentElement.lang || !document.title || document.querySelectorAll('main').length !== 1 || document.querySelectorAll('h1').length !== 1) {
    problems.push('needs a language, a title, one main region and one h1');
  }
  for (const input of document.querySelectorAll('input:not([type=hidden])')) {
    if (input.labels.length === 0) {
      problems.push(`the field ${input.name} has no label`);
    }
  }
  for (const button of document.querySelectorAll('button')) {
    const { width, height } = button.getBoundingClientRect();
    if (Math.min(width, height) < 40) {
      problems.push(`the button ${button.textContent.trim()} is too small to touch: ${width} x ${height}`);
    }
  }
  return problems;
}

// WCAG 2.1, 1.4.3 (text: 4.5) and 1.4.11 (borders of fields: 3).
function contrast() {
  const parse = (color) => (color.match(/[\d.]+/g) ?? []).map(Number);
  const luminance = ([red, green, blue]) => [red, green, blue]
    .map((value) => value / 255)
    .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
    .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
  const background = (element) => {
    for (let current = element; current; current = current.parentElement) {
      const color = parse(getComputedStyle(current).backgroundColor);
      if (color.length === 3) {
        return color;
      }
    }
    return [255, 255, 255];
  };
  const ratio = (one, other) => {
    const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
    return (light + 0.05) / (dark + 0.05);
  };

  const problems = [];
  for (const element of document.querySelectorAll('body *')) {
    const style = getComputedStyle(element);
    if (element.tagName === 'STYLE' || ![...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim())) {
      continue;
    }
    const value = ratio(parse(style.color), background(element));
    if (value < 4.5) {
      problems.push(`contrast of "${element.textContent.trim().slice(0, 30)}" is ${value.toFixed(2)}`);
    }
  }
  for (const field of document.querySelectorAll('input:not([type=hidden]), button')) {
    const style = getComputedStyle(field);
    const around = background(field.parentElement);
    const value = Math.max(ratio(parse(style.borderTopColor), around), ratio(background(field), around));
    if (value < 3) {
      problems.push(`the edge of ${field.name || field.textContent.trim()} has a contrast of ${value.toFixed(2)}`);
    }
  }
  return problems;
}
