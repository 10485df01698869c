// A company's API as the gateway's tests want it: tells what reached it, and misbehaves on demand. Without any package, so that headers
// are told as they stood on the wire.
// usage: node upstream.mjs     (prints "ready PORT")
import { createServer } from 'node:http';
import { gzipSync } from 'node:zlib';

const state = { requests: 0, open: 0, hungUp: 0, received: 0 };
const actions = []; // the correlation ids of what was asked for, in order
let next; // lets /events go on

function tell(request, response, body) {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ method: request.method, url: request.url, version: request.httpVersion, headers: request.rawHeaders, body: body.toString('latin1') }));
}

const behaviours = {
  async events(request, response) {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (let number = 0; number < 3; number++) {
      const turn = new Promise(resolve => { next = resolve; });
      response.write(`data: ${number}\n\n`);
      await turn;
    }
    response.end();
  },
  async slow() {}, // never answers
  stalling(_, response) { // answers, and then goes on no more
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: 0\n\n');
  },
  async endless(request, response, query) {
    response.writeHead(200, { 'content-type': query.get('type') ?? 'text/plain' });
    while (!response.destroyed) {
      if (!response.write('x'.repeat(4096))) {
        await new Promise(resolve => { response.once('drain', resolve); response.once('close', resolve); });
      }
    }
  },
  huge(request, response, query) {
    const text = query.get('text') ?? 'x';
    const body = Buffer.from(text.repeat(Number(query.get('count'))));
    const headers = { 'content-type': query.get('type') ?? 'text/plain', ...(query.has('chunked') ? {} : { 'content-length': body.length }) };
    response.writeHead(200, headers);
    response.end(body);
  },
  gzip(request, response) {
    const isWanted = /gzip/.test(request.headers['accept-encoding'] ?? '');
    response.writeHead(200, { 'content-type': 'text/plain', ...(isWanted ? { 'content-encoding': 'gzip' } : {}) });
    response.end(isWanted ? gzipSync('squeezed') : 'plain');
  },
  status(request, response, query) {
    response.writeHead(Number(query.get('code')), {
      'content-type': 'application/vnd.test+json', 'x-from-upstream': 'yes', 'retry-after': '7', 'cache-control': 'max-age=5',
      'set-cookie': ['__Host-gpt=stolen; Path=/; Secure', 'b=2'], 'x-internal-id': 'secret', 'x-gpt-assertion': 'secret', 'strict-transport-security': 'max-age=0', 'clear-site-data': '"*"',
      ratelimit: '"theirs";r=1', connection: 'x-for-this-connection', 'x-correlation-id': 'theirs',
    });
    response.end(query.get('code') === '204' || query.get('code') === '304' ? undefined : '{"upstream":"says so"}');
  },
  torn(request, response) { // less than it promised
    response.writeHead(200, { 'content-type': 'text/plain', 'content-length': 100 });
    response.write('half');
    setImmediate(() => response.destroy());
  },
  garbage(request) {
    request.socket.end('this is not HTTP\r\n\r\n');
  },
  async sink(request, response) {
    for await (const piece of request) {
      state.received += piece.length;
    }
    response.end(String(state.received));
  },
};

async function answer(request, response) {
  const url = new URL(request.url, 'http://upstream');
  if (url.pathname === '/control/state') {
    response.end(JSON.stringify(state));
    return;
  }
  if (url.pathname === '/control/actions') {
    response.end(JSON.stringify(actions));
    return;
  }
  if (url.pathname === '/control/next') {
    next?.();
    response.end();
    return;
  }
  state.requests++;
  actions.push(request.headers['x-correlation-id']);
  state.open++;
  response.on('close', () => {
    state.open--;
    state.hungUp += response.writableFinished ? 0 : 1;
  });
  const behaviour = behaviours[url.pathname.split('/')[1]];
  if (behaviour) {
    await behaviour(request, response, url.searchParams);
    return;
  }
  const pieces = [];
  for await (const piece of request) {
    pieces.push(piece);
  }
  tell(request, response, Buffer.concat(pieces));
}

const server = createServer((request, response) => answer(request, response).catch(() => response.destroy())); // a caller who hangs up is no news
server.on('clientError', (error, socket) => socket.destroy());
server.listen(0, '127.0.0.1', () => console.log(`ready ${server.address().port}`));

process.stdin.on('end', () => process.exit()).resume(); // ends with the test run, also when that is killed
