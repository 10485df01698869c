// A person follows a host's link, signs in and agrees; prints where the browser goes then.
// usage: node mcp-approve.mjs AUTHORIZE_URL USER REDIRECT_URI
import { approve } from './person.mjs';

console.log((await approve(...process.argv.slice(2))).href);
