// The conformance kit imports one function of Node.js 22 that these scenarios never call; without it Node.js 20 does not load the kit.
const filled = 'data:text/javascript,' + encodeURIComponent(
  "export * from 'node:fs'; export { default } from 'node:fs'; import * as fs from 'node:fs'; export const globSync = fs.globSync ?? (() => { throw new Error('globSync needs Node.js 22'); });");

export async function resolve(specifier, context, next) {
  return specifier === 'fs' && /conformance/.test(context.parentURL ?? '') ? { url: filled, shortCircuit: true } : next(specifier, context);
}
