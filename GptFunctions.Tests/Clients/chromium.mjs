// The browser that is installed, and the windows in which pages are looked at.
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { chromium } from 'playwright-core';

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

function find() {
  const found = process.env.CHROMIUM
    ?? process.env.PATH.split(delimiter).flatMap((directory) => names.map((name) => join(directory, name))).find((path) => existsSync(path));
  if (!found) {
    throw new Error('No Chromium found: install it (Debian, Ubuntu: apt-get install chromium), or name it in CHROMIUM.');
  }
  return found;
}

export function launch() {
  return chromium.launch({
    executablePath: find(),
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
}

const windows = { phone: { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true }, desktop: { viewport: { width: 1280, height: 800 } } };

export const looks = Object.entries(windows).flatMap(([window, options]) =>
  ['light', 'dark'].map((colorScheme) => ({ name: `${window}-${colorScheme}`, options: { ...options, colorScheme, javaScriptEnabled: false } })));
