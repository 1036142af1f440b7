// stripe-node against the emulated Stripe: it must find the shapes that it knows, and make of every refusal the error
// class and code that it makes of the real one.
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import Stripe from 'stripe';
import { act, fault, places, refusal, state } from './support/sandbox.mjs';

const { hostname: host, port } = new URL(places.stripe);

function clientFor(key) {
  return new Stripe(key, { host, port, protocol: 'http', maxNetworkRetries: 0, telemetry: false });
}

let made = 0;
async function makeKey(permissions = ['customer_read', 'subscription_read', 'balance_read'], mode = 'live') {
  return act('/stripe/create', { name: `oracle ${++made}`, mode, permissions });
}

// With a path that nothing else in the sandbox asks for: its applications ask Stripe on their own.
function faultOf(knob) {
  return fault('stripe', { path: '/v1/balance', times: 1, ...knob });
}

afterEach(() => fault('stripe', { kind: 'clear' }));

test('a live restricted key lists customers', async () => {
  const { key } = await makeKey();
  const customers = await clientFor(key).customers.list({ limit: 1 });
  assert.equal(customers.object, 'list');
  assert.equal(customers.url, '/v1/customers');
  assert.equal(customers.has_more, true);
  assert.equal(customers.data.length, 1);
  assert.match(customers.data[0].id, /^cus_/);
  assert.equal(customers.data[0].object, 'customer');
  assert.equal(customers.data[0].livemode, true);
  assert.equal(typeof customers.data[0].created, 'number');
  assert.equal(customers.lastResponse.statusCode, 200);
  assert.match(customers.lastResponse.requestId, /^req_/);
  assert.equal(customers.lastResponse.apiVersion, Stripe.API_VERSION);
});

test('a live restricted key lists subscriptions, whose period stands on their items', async () => {
  const { key } = await makeKey();
  const { data, object, url } = await clientFor(key).subscriptions.list({ limit: 1 });
  assert.equal(object, 'list');
  assert.equal(url, '/v1/subscriptions');
  assert.match(data[0].id, /^sub_/);
  assert.equal(data[0].status, 'active');
  assert.equal(data[0].livemode, true);
  const [item] = data[0].items.data;
  assert.ok(item.current_period_end > item.current_period_start);
  assert.equal(data[0].current_period_end, undefined);
});

test('the balance says which mode the key is of', async () => {
  for (const mode of ['live', 'test']) {
    const { key } = await makeKey(['balance_read'], mode);
    const balance = await clientFor(key).balance.retrieve();
    assert.equal(balance.object, 'balance');
    assert.equal(balance.livemode, mode === 'live');
    assert.equal(typeof balance.available[0].amount, 'number');
    assert.equal(balance.pending[0].currency, 'usd');
  }
});

test('the client pages through a list by itself', async () => {
  const { key } = await makeKey();
  const seen = new Set();
  for await (const customer of clientFor(key).customers.list({ limit: 2 })) seen.add(customer.id);
  assert.equal(seen.size, 3);
});

test('an expired key is an authentication error with its own code', async () => {
  const { id, key } = await makeKey();
  await act('/stripe/expire', { id });
  const error = await refusal(clientFor(key).customers.list({ limit: 1 }));
  assert.ok(error instanceof Stripe.errors.StripeAuthenticationError, error.type);
  assert.equal(error.statusCode, 401);
  assert.equal(error.code, 'api_key_expired');
  assert.equal(error.rawType, 'invalid_request_error');
  assert.match(error.message, /^Expired API Key provided: rk_live_\*+.{6}$/);
  assert.match(error.doc_url, /api-key-expired$/);
});

test('a key that was rotated with "Now" answers as the knob says, and never 200', async () => {
  for (const [as, code] of [['expired', 'api_key_expired'], ['invalid', undefined]]) {
    const { id, key } = await makeKey();
    await act('/stripe/rotate', { id, expires_in_seconds: 0 });
    await fault('stripe', { kind: 'deleted_answers', as });
    const error = await refusal(clientFor(key).customers.list({ limit: 1 }));
    assert.ok(error instanceof Stripe.errors.StripeAuthenticationError, error.type);
    assert.equal(error.code, code);
  }
});

test('an unknown key is an authentication error without a code and without a request id', async () => {
  const error = await refusal(clientFor(`rk_${'live'}_${'x'.repeat(99)}`).customers.list({ limit: 1 }));
  assert.ok(error instanceof Stripe.errors.StripeAuthenticationError, error.type);
  assert.equal(error.statusCode, 401);
  assert.equal(error.code, undefined);
  assert.equal(error.requestId, undefined);
  assert.match(error.message, /^Invalid API Key provided: rk_live_\*+x{6}$/);
});

test('a key with an address list is refused as well, and is not called expired', async () => {
  const { id, key } = await makeKey();
  await fault('stripe', { kind: 'ip_denied', key: id, on: true });
  const error = await refusal(clientFor(key).customers.list({ limit: 1 }));
  assert.ok(error instanceof Stripe.errors.StripeAuthenticationError, error.type);
  assert.equal(error.code, undefined);
  assert.match(error.message, /does not allow requests from your IP address/);
});

test('a missing permission is a permission error, in the wording of either generation', async () => {
  const { key } = await makeKey(['customer_read']);
  const wordings = [
    [2026, 'more_permissions_required', /Enabling "Balance Read" \('balance_read'\) permissions on this key/],
    [2025, undefined, /Having the 'rak_balance_read' permission would allow this request to continue/],
  ];
  for (const [generation, code, words] of wordings) {
    await fault('stripe', { kind: 'wording', generation });
    const error = await refusal(clientFor(key).balance.retrieve());
    assert.ok(error instanceof Stripe.errors.StripePermissionError, error.type);
    assert.equal(error.statusCode, 403);
    assert.equal(error.rawType, 'invalid_request_error');
    assert.equal(error.code, code);
    assert.match(error.requestId, /^req_/);
    assert.match(error.message, /on account 'acct_[A-Za-z0-9]+'/);
    assert.match(error.message, words);
  }
});

test('the older wording names every permission that would do', async () => {
  const { key } = await makeKey(['customer_read']);
  await fault('stripe', { kind: 'wording', generation: 2025 });
  const error = await refusal(clientFor(key).subscriptions.list({ limit: 1 }));
  assert.match(error.message, /Having the 'rak_billing_cadence_read', 'rak_subscription_read' permissions would/);
});

test('a rate limit is a rate limit error, whatever the key, and is not repeated', async () => {
  const { key } = await makeKey();
  const asked = (await state('stripe')).requests.length;
  await faultOf({ kind: 'status', status: 429 });
  const error = await refusal(clientFor(key).balance.retrieve());
  assert.ok(error instanceof Stripe.errors.StripeRateLimitError, error.type);
  assert.equal(error.statusCode, 429);
  assert.equal(error.code, 'rate_limit');
  assert.equal(error.headers['stripe-rate-limited-reason'], 'global-rate');
  const since = (await state('stripe')).requests.slice(asked);
  assert.equal(since.filter(({ path }) => path === '/v1/balance').length, 1);
});

test('a server error is an API error, in JSON or as a page of the proxy', async () => {
  const { key } = await makeKey();
  for (const html of [false, true]) {
    await faultOf({ kind: 'status', status: 500, html });
    const error = await refusal(clientFor(key).balance.retrieve());
    assert.ok(error instanceof Stripe.errors.StripeAPIError, error.type);
    assert.equal(html, /Invalid JSON/.test(error.message), error.message);
  }
});

test('a server error that says so is repeated, and then succeeds', async () => {
  const { key } = await makeKey();
  await faultOf({ kind: 'status', status: 500 });
  const stripe = new Stripe(key, { host, port, protocol: 'http', maxNetworkRetries: 1, telemetry: false });
  assert.equal((await stripe.balance.retrieve()).object, 'balance');
});

test('an address that Stripe has not is 404, and says which', async () => {
  const { key } = await makeKey();
  const error = await refusal(clientFor(key).rawRequest('GET', '/v1/nosuch'));
  assert.ok(error instanceof Stripe.errors.StripeInvalidRequestError, error.type);
  assert.equal(error.statusCode, 404);
  assert.match(error.message, /^Unrecognized request URL \(GET: \/v1\/nosuch\)\./);
});

test('an object of the other mode is missing, and says why', async () => {
  const live = await makeKey();
  const sandboxed = await makeKey(['customer_read'], 'test');
  const { data } = await clientFor(live.key).customers.list({ limit: 1 });
  const error = await refusal(clientFor(sandboxed.key).customers.retrieve(data[0].id));
  assert.ok(error instanceof Stripe.errors.StripeInvalidRequestError, error.type);
  assert.equal(error.statusCode, 404);
  assert.equal(error.code, 'resource_missing');
  assert.match(error.message, /a similar object exists in live mode, but a test mode key was used/);
});

test('an account version that cannot be is 400', async () => {
  const { key } = await makeKey();
  const stripe = new Stripe(key, { host, port, protocol: 'http', maxNetworkRetries: 0, telemetry: false, apiVersion: 'soon' });
  const error = await refusal(stripe.balance.retrieve());
  assert.ok(error instanceof Stripe.errors.StripeInvalidRequestError, error.type);
  assert.equal(error.statusCode, 400);
  assert.match(error.message, /^Invalid Stripe API version: soon/);
});

test('a limit over 100 is 400, and names the parameter', async () => {
  const { key } = await makeKey();
  const error = await refusal(clientFor(key).customers.list({ limit: 101 }));
  assert.equal(error.statusCode, 400);
  assert.equal(error.param, 'limit');
});
