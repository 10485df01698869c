// Signs webhooks with the senders' own libraries. Reads a JSON list of [library, secret, id, body] from the standard input, prints for each the headers.
// usage: node webhooks.mjs <deliveries.json
import { text } from 'node:stream/consumers';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import Stripe from 'stripe';
import { Webhook as SvixWebhook } from 'svix';

const now = new Date();
const seconds = String(Math.floor(now.getTime() / 1000));
const sign = {
  svix: (secret, id, body) => ({ 'svix-id': id, 'svix-timestamp': seconds, 'svix-signature': new SvixWebhook(secret).sign(id, now, body) }),
  standardwebhooks: (secret, id, body) => ({ 'webhook-id': id, 'webhook-timestamp': seconds, 'webhook-signature': new StandardWebhook(secret).sign(id, now, body) }),
  stripe: (secret, id, body) => ({ 'Stripe-Signature': Stripe.webhooks.generateTestHeaderString({ payload: body, secret }) }),
};

const deliveries = JSON.parse(await text(process.stdin));
console.log(JSON.stringify(deliveries.map(([library, secret, id, body]) => sign[library](secret, id, body))));
