// Receives callbacks and verifies them with the library of the Standard Webhooks' authors.
// usage: node callbacks.mjs SECRET...; prints "ready PORT".
// What it does with a callback: GET /control/behave?with=ok|500|hang|reset|redirect|204. What came: GET /control/received.
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { Webhook } from 'standardwebhooks';

const webhooks = process.argv.slice(2).map((secret) => new Webhook(secret));
const received = [];
let behaviour = 'ok';

const verifies = (webhook, body, headers) => {
  try {
    webhook.verify(body, headers);
    return true;
  } catch {
    return false;
  }
};

const server = createServer(async (request, response) => {
  const url = new URL(request.url, 'http://127.0.0.1');
  if (url.pathname === '/control/received') {
    response.end(JSON.stringify(received));
  } else if (url.pathname === '/control/behave') {
    behaviour = url.searchParams.get('with');
    response.end();
  } else {
    const body = await text(request);
    received.push({
      path: url.pathname,
      method: request.method,
      type: request.headers['content-type'],
      id: request.headers['webhook-id'],
      signatures: request.headers['webhook-signature']?.split(' ').length,
      verified: webhooks.map((webhook) => verifies(webhook, body, request.headers)),
      body: JSON.parse(body),
    });
    switch (behaviour) {
      case 'hang': break;
      case 'reset': request.socket.resetAndDestroy(); break;
      case 'redirect': response.writeHead(307, { Location: '/elsewhere' }).end(); break;
      default: response.writeHead(behaviour === 'ok' ? 200 : Number(behaviour)).end();
    }
  }
});
server.listen(0, '127.0.0.1', () => console.log(`ready ${server.address().port}`));
