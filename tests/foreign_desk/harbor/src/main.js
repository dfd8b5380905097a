// A desk as many are: it notes its orders, looks them up after doubt, and books by one request after the other, since
// a hosted database over HTTP knows no transaction that spans requests.
import http from 'node:http';
import { randomUUID } from 'node:crypto';

const { PORT, SUPABASE_URL: books, SUPABASE_KEY: apikey, BROKER_URL, BROKER_ACCOUNT: account, BROKER_TOKEN } = process.env;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const log = (...words) => console.log(new Date().toISOString(), ...words);

async function ask(url, method, body, headers = {}) {
  const response = await fetch(url, {
    method,
    body: body && JSON.stringify(body),
    headers: { ...(body && { 'Content-Type': 'application/json' }), ...headers },
    signal: AbortSignal.timeout(5000),
  });
  const parsed = await response.json();
  if (!response.ok) throw Object.assign(new Error(parsed.errorMessage ?? parsed.message), { status: response.status });
  return parsed;
}
const table = async (method, path, body) => {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await ask(`${books}/rest/v1/${path}`, method, body, { apikey, Authorization: `Bearer ${apikey}` });
    } catch (error) {
      if (error.status === 409 && attempt > 1) return []; // it was there already: the answer to the first got lost
      if (error.status === 409 || attempt === 8) throw error;
      await sleep(100 * attempt);
    }
  }
};
const select = (path) => table('GET', path);
const insert = (path, row) => table('POST', path, row);
const update = (path, changes) => table('PATCH', path, changes);
const broker = (method, path, body) =>
  ask(`${BROKER_URL}/v3/accounts/${account}${path}`, method, body, { Authorization: `Bearer ${BROKER_TOKEN}` });

const points = (price, by) => (Number(price) + by).toFixed(5);
const negative = (amount) => (amount.startsWith('-') ? amount.slice(1) : `-${amount}`);
// Sums of decimals of four places as whole numbers: nothing is lost up to a billion.
const plus = (a, b) => ((Math.round(Number(a) * 1e4) + Math.round(Number(b) * 1e4)) / 1e4).toFixed(4);
const live = async () => (await select(`positions?account_id=eq.${account}&status=eq.OPEN`)).sort((a, b) => (a.opened_at < b.opened_at ? -1 : 1));

async function event(position, type, payload, time) {
  const seq = (await select(`position_events?position_id=eq.${position}`)).length + 1;
  await insert('position_events', { id: randomUUID(), position_id: position, seq, event_type: type, payload, event_time: time });
}

async function money(type, amount, tx, position = null, execution = null) {
  const [own] = await select(`account_balances?account_id=eq.${account}`);
  const after = plus(own.balance, amount);
  await update(`account_balances?account_id=eq.${account}`, { balance: after, updated_at: new Date().toISOString() });
  const seq = (await select(`account_balance_events?account_id=eq.${account}`)).length + 1;
  await insert('account_balance_events', {
    id: randomUUID(), account_id: account, seq, event_type: type, balance_before: own.balance, amount, balance_after: after,
    position_id: position, execution_id: execution, broker_tx_id: tx.id, event_time: tx.time,
  });
}

/** Request after request: whoever dies in between leaves the rest unwritten. */
async function book(order, fill) {
  const part = fill.tradeOpened ?? fill.tradesClosed?.[0] ?? fill.tradeReduced;
  const size = part.units.replace('-', '');
  let position = order.position_id;
  if (fill.tradeOpened) {
    position = order.id;
    await insert('positions', {
      id: position, account_id: account, pair: fill.instrument, side: order.side, size, open_size: size, avg_entry_price: part.price,
      margin_used: part.initialMarginRequired, stop_loss: order.stop_loss, status: 'OPEN', broker_trade_id: part.tradeID, opened_at: fill.time,
    });
    await event(position, 'POSITION_CREATED', { instrument: fill.instrument }, fill.time);
  }
  await update(`execution_orders?id=eq.${order.id}`, {
    status: 'FILLED', broker_order_id: fill.orderID, position_id: position, updated_at: new Date().toISOString(),
  });
  const execution = randomUUID();
  const gain = part.realizedPL ?? '0';
  await insert('trade_executions', {
    id: execution, account_id: account, position_id: position, order_id: order.id, broker_tx_id: fill.id, pair: fill.instrument,
    side: order.side, size, price: part.price, realized_pnl: gain, commission: fill.commission, executed_at: fill.time,
    conversion_rate: fill.homeConversionFactors[gain.startsWith('-') ? 'lossQuoteHome' : 'gainQuoteHome'].factor,
  });
  await event(position, 'ORDER_FILLED', { units: part.units }, fill.time);
  if (fill.tradeOpened) await event(position, 'MARGIN_RESERVED', { margin_used: part.initialMarginRequired }, fill.time);
  else await reduced(position, { part, size, gain, fill, execution });
  if (Number(fill.commission)) await money('COMMISSION', negative(fill.commission), fill, position, execution);
  const held = (await live()).reduce((sum, each) => plus(sum, each.margin_used), '0');
  await update(`account_balances?account_id=eq.${account}`, { margin_used: held });
}

async function reduced(position, { size, gain, fill, execution }) {
  const [before] = await select(`positions?id=eq.${position}`);
  const left = String(Number(before.open_size) - Number(size));
  const held = ((Number(before.margin_used) * Number(left)) / Number(before.open_size)).toFixed(4);
  const over = left === '0';
  await update(`positions?id=eq.${position}`, {
    open_size: left, margin_used: held, realized_pnl: plus(before.realized_pnl, gain), status: over ? 'CLOSED' : 'OPEN',
    closed_at: over ? fill.time : null, close_reason: over ? 'exit' : null,
  });
  await event(position, over ? 'MARGIN_RELEASED' : 'MARGIN_UPDATED', { margin_used: held }, fill.time);
  await event(position, 'PNL_REALIZED', { realized_pnl: gain }, fill.time);
  if (over) await event(position, 'POSITION_CLOSED', {}, fill.time);
  await money('PNL_REALIZED', gain, fill, position, execution);
}

async function send(order, more) {
  await insert('execution_orders', order);
  try {
    await broker('POST', '/orders', { order: {
      type: 'MARKET', instrument: order.symbol, units: order.side === 'BUY' ? order.size : `-${order.size}`,
      timeInForce: 'FOK', clientExtensions: { id: order.client_order_id }, ...more } });
  } catch (error) {
    log('in doubt:', error.message);
  }
  return settle(order);
}

/** Look the order up until it is known, or was not found for so long that it never will be. */
async function settle(order) {
  for (const ends = Date.now() + 3000; ; await sleep(150)) {
    try {
      const { orders } = await broker('GET', '/orders?state=ALL&count=50');
      const theirs = orders.find((each) => each.clientExtensions?.id === order.client_order_id);
      if (!theirs && Date.now() < ends) continue;
      if (!theirs) break;
      if (theirs.state === 'FILLED') {
        const { transaction } = await broker('GET', `/transactions/${theirs.fillingTransactionID}`);
        await book(order, transaction);
        return { order: order.id, result: 'done' };
      }
      if (theirs.state === 'CANCELLED') break;
    } catch (error) {
      if (error.status) throw error;
      log('the broker cannot be asked:', error.message);
    }
  }
  await update(`execution_orders?id=eq.${order.id}`, { status: 'CANCELLED', updated_at: new Date().toISOString() });
  throw Object.assign(new Error('the order was not executed'), { status: 409 });
}

const asks = {
  '/enter': async () => {
    const held = await live();
    const symbol = ['EUR_USD', 'GBP_USD'].find((pair) => !held.some((each) => each.pair === pair));
    if (!symbol) throw Object.assign(new Error('nothing left to enter'), { status: 409 });
    const { prices } = await broker('GET', `/pricing?instruments=${symbol}`);
    const stop = points(prices[0].bids[0].price, -0.002);
    const id = randomUUID();
    const order = { id, account_id: account, client_order_id: `h-${id}`, symbol, side: 'BUY', size: '1000', status: 'PENDING', stop_loss: stop };
    return send(order, { positionFill: 'OPEN_ONLY', stopLossOnFill: { price: stop } });
  },
  '/exit': () => leave(1),
  '/trim': () => leave(2),
  '/margin': async () => {
    const { trades } = await broker('GET', '/openTrades');
    for (const each of await live()) {
      const theirs = trades.find((trade) => trade.id === each.broker_trade_id);
      await update(`positions?id=eq.${each.id}`, { margin_used: theirs.marginUsed });
      await event(each.id, 'MARGIN_UPDATED', { margin_used: theirs.marginUsed }, new Date().toISOString());
    }
    return { result: 'done' };
  },
  '/reconcile': reconcile,
  '/replay': async () => ({ events: (await select('position_events')).length }),
};

async function leave(share) {
  const [position] = await live();
  if (!position) throw Object.assign(new Error('nothing to leave'), { status: 409 });
  const id = randomUUID();
  const order = { id, account_id: account, position_id: position.id, client_order_id: `h-${id}`, symbol: position.pair,
    side: 'SELL', size: String(Number(position.open_size) / share), status: 'PENDING' };
  return send(order, { positionFill: 'REDUCE_ONLY' });
}

async function reconcile() {
  const began = Date.now();
  const [ours, { trades }] = [await live(), await broker('GET', '/openTrades')];
  const off = ours.filter((each) => !trades.some((trade) => trade.id === each.broker_trade_id)).length + Math.max(0, trades.length - ours.length);
  await insert('reconciliation_log', { reconciliation_id: randomUUID(), account_id: account, started_at: new Date(began).toISOString(),
    duration_ms: Date.now() - began, positions_checked: ours.length, discrepancies_found: off });
  return { checked: ours.length, off };
}

async function begin() {
  if (!(await select(`account_balances?account_id=eq.${account}`)).length) {
    const { account: theirs } = await broker('GET', '/summary');
    const { transactions } = await broker('GET', '/transactions/sinceid?id=0');
    await insert('account_balances', { account_id: account, currency: theirs.currency, initial_balance: '0', balance: '0' });
    for (const each of transactions.filter((t) => t.type === 'TRANSFER_FUNDS')) await money('DEPOSIT', each.amount, each);
  }
  for (const order of await select(`execution_orders?status=eq.PENDING`)) await settle(order).catch((error) => log(error.message));
  await reconcile();
}

let ready = false;
let last = Promise.resolve();
const server = http.createServer((request, response) => {
  const answer = (status, body) => response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
  if (request.method === 'GET') return answer(ready ? 200 : 503, { status: ready ? 'ok' : 'starting' });
  const work = asks[request.url];
  if (!work || !ready) return answer(work ? 503 : 404, { error: 'not now' });
  last = last.then(work).then((body) => answer(200, body), (error) => answer(error.status ?? 503, { error: error.message }));
  return undefined;
});

server.listen(Number(PORT), '127.0.0.1');
while (!ready) {
  try {
    await begin();
    ready = true;
  } catch (error) {
    log('not ready:', error.message);
    await sleep(300);
  }
}
