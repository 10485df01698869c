import { register } from 'node:module';

register('./mcp-conformance-hooks.mjs', import.meta.url);
