// A receiver of webhooks as its sender's documentation shows one: svix verifies the raw body, one INSERT keeps the event, once for each id.
// usage: node receiver.mjs PORT | node receiver.mjs create
import { Webhook } from 'svix';
import { pool, prepared, serve } from './workers.mjs';

const webhook = new Webhook(process.env.CLERK_WEBHOOK_SECRET);
const insert = prepared('insert', 'INSERT INTO webhook_inbox (id, type, payload) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING');

function answer(response, status, body) {
  response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': body.length });
  response.end(body);
}

async function receive(headers, body, response) {
  try {
    webhook.verify(body, headers);
  } catch {
    return answer(response, 400, '{"error":"invalid_signature"}');
  }

  await insert(headers['svix-id'], JSON.parse(body).type, body);
  return answer(response, 200, '{"received":true}');
}

if (process.argv[2] === 'create') {
  await pool.query('CREATE TABLE webhook_inbox (id text PRIMARY KEY, type text NOT NULL, payload jsonb NOT NULL, received_at timestamptz NOT NULL DEFAULT now())');
  await pool.end();
} else {
  serve(Number(process.argv[2]), (request, response) => {
    if (request.url === '/ready') return answer(response, 200, '{}');
    let body = '';
    request.setEncoding('utf8').on('data', part => { body += part; }).on('end', () => receive(request.headers, body, response).catch(error => {
      console.error(error);
      answer(response, 500, '{"error":"server_error"}');
    }));
  });
}
