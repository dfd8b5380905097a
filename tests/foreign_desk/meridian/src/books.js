import { randomUUID } from 'node:crypto';
import * as broker from './broker.js';
import { config, log } from './config.js';
import { tx } from './db.js';

/** Somebody else trades on this account: nothing here can be right any more. */
export class Stranger extends Error {
  final = true;
}

const rows = async (db, sql, ...values) => (await db.query(sql, values)).rows;
const one = async (db, sql, ...values) => (await rows(db, sql, ...values))[0];

export const purseForUpdate = (db) => one(db, 'SELECT * FROM meridian.account WHERE acct = $1 FOR UPDATE', config.account);

/** The first start: the books of a fresh account begin with its funding, those of a used one with what it holds. */
export async function begin() {
  const known = await tx((db) => one(db, 'SELECT acct FROM meridian.account WHERE acct = $1', config.account));
  if (known) return;
  const account = await broker.summary();
  const used = (await broker.since('0')).some((t) => t.type === 'ORDER_FILL');
  const [cash, cursor] = used ? [account.balance, account.lastTransactionID] : ['0', '0'];
  await tx((db) =>
    db.query(
      `INSERT INTO meridian.account (acct, ccy, start_cash, cash, cursor) VALUES ($1, $2, $3, $3, $4)
       ON CONFLICT DO NOTHING`,
      [config.account, account.currency, cash, cursor],
    ),
  );
}

/** Book everything that the broker did since the cursor. The only side by which a deal gets into these books. */
export async function catchUp() {
  const { cursor } = await tx((db) => one(db, 'SELECT cursor FROM meridian.account WHERE acct = $1', config.account));
  const news = await broker.since(cursor);
  if (!news.length) return 0;
  if (config.bug === 'two-steps') return inTwoSteps(news);
  return tx(async (db) => {
    const purse = await purseForUpdate(db);
    const fresh = news.filter((t) => BigInt(t.id) > BigInt(purse.cursor));
    for (const t of fresh) await book(db, t);
    if (fresh.length) await moveCursor(db, fresh.at(-1).id);
    return fresh.length;
  });
}

const moveCursor = (db, id) =>
  db.query(
    `UPDATE meridian.account SET cursor = $2, touched = clock_timestamp(),
       held = (SELECT coalesce(sum(held), 0) FROM meridian.lots WHERE acct = $1 AND left_qty > 0),
       floating = CASE WHEN EXISTS (SELECT FROM meridian.lots WHERE acct = $1 AND left_qty > 0) THEN floating ELSE 0 END
     WHERE acct = $1`,
    [config.account, id],
  );

async function book(db, t) {
  switch (t.type) {
    case 'MARKET_ORDER':
      return note(db, t.clientExtensions?.id, 'sent', t.id);
    case 'MARKET_ORDER_REJECT':
      return note(db, t.clientExtensions?.id, 'void', null, t.rejectReason);
    case 'ORDER_CANCEL':
      return note(db, t.clientOrderID, 'void', null, t.reason);
    case 'ORDER_FILL':
      return fill(db, t);
    case 'TRANSFER_FUNDS':
      return cash(db, t, t.amount.startsWith('-') ? 'payout' : 'funding', t.amount);
    case 'DAILY_FINANCING':
      return cash(db, t, 'rollover', t.financing);
    default:
      return undefined;
  }
}

/** What became of a ticket; one that is done stays so. */
const note = (db, ref, state, brokerNo, remark) =>
  ref &&
  db.query(
    `UPDATE meridian.orders SET state = $2, broker_no = coalesce($3, broker_no), remark = coalesce($4, remark),
       updated_at = clock_timestamp() WHERE client_ref = $1 AND state <> 'done'`,
    [ref, state, brokerNo, remark ?? null],
  );

async function ticketOf(db, t) {
  const ticket = t.clientOrderID && (await one(db, 'SELECT * FROM meridian.orders WHERE client_ref = $1', t.clientOrderID));
  if (ticket) return ticket;
  const kind = { STOP_LOSS_ORDER: 'stop', TAKE_PROFIT_ORDER: 'target' }[t.reason];
  if (!kind) throw new Stranger(`transaction ${t.id} fills an order that this desk never noted`);
  return one(
    db,
    `INSERT INTO meridian.orders (id, acct, kind, pair, side, qty, state, broker_no, created_at)
     VALUES ($1, $2, $3, $4, $5, $6, 'done', $7, $8) RETURNING *`,
    randomUUID(),
    config.account,
    kind,
    t.instrument,
    ...direction(t.units),
    t.orderID,
    t.time,
  );
}

const direction = (units) => (units.startsWith('-') ? ['SELL', units.slice(1)] : ['BUY', units]);

async function fill(db, t) {
  const ticket = await ticketOf(db, t);
  let lot = ticket.lot;
  let deal;
  if (t.tradeOpened) [lot, deal] = await opened(db, t, ticket);
  for (const part of [...(t.tradesClosed ?? []), ...(t.tradeReduced ? [t.tradeReduced] : [])]) {
    [lot, deal] = await closed(db, t, ticket, part);
  }
  if (!/^0(\.0+)?$/.test(t.commission)) await cash(db, t, 'fee', `-${t.commission}`, lot, deal);
  await db.query(
    `UPDATE meridian.orders SET state = 'done', broker_no = $2, lot = $3, updated_at = clock_timestamp() WHERE id = $1`,
    [ticket.id, t.orderID, lot],
  );
}

async function opened(db, t, ticket) {
  const lot = ticket.id; // one entry, one lot
  const [side, qty] = direction(t.tradeOpened.units);
  const { price, initialMarginRequired: held } = t.tradeOpened;
  await db.query(
    `INSERT INTO meridian.lots (id, acct, pair, side, qty, left_qty, entry, stop, target, held, trade_no, born)
     VALUES ($1, $2, $3, $4, $5, $5, $6, $7, $8, $9, $10, $11)`,
    [lot, config.account, t.instrument, side, qty, price, ticket.stop, ticket.target, held, t.tradeOpened.tradeID, t.time],
  );
  await tell(db, lot, t, 'born', { pair: t.instrument, side, qty, price });
  const deal = await dealt(db, t, { ticket, lot, side, qty, price, gain: '0' });
  await tell(db, lot, t, 'held', { held });
  return [lot, deal];
}

async function closed(db, t, ticket, part) {
  const before = await one(db, 'SELECT * FROM meridian.lots WHERE trade_no = $1 FOR UPDATE', part.tradeID);
  if (!before) throw new Stranger(`transaction ${t.id} closes trade ${part.tradeID}, which is not in these books`);
  const [side, qty] = direction(part.units);
  const gain = config.bug === 'float' ? inFloats(t, before, part) : part.realizedPL;
  const deal = await dealt(db, t, { ticket, lot: before.id, side, qty, price: part.price, gain });
  const after = await one(
    db,
    `UPDATE meridian.lots SET left_qty = left_qty - $2::numeric, gain = gain + $3::numeric,
       held = round(held * (left_qty - $2::numeric) / left_qty, 4),
       ended = CASE WHEN left_qty = $2::numeric THEN $4::timestamptz END,
       ended_by = CASE WHEN left_qty = $2::numeric THEN $5::text END
     WHERE id = $1 RETURNING *, left_qty = 0 AS over`,
    before.id,
    qty,
    gain,
    t.time,
    ticket.kind,
  );
  await tell(db, before.id, t, after.over ? 'freed' : 'trimmed', { held: after.held });
  await tell(db, before.id, t, 'gained', { gain });
  if (after.over) await tell(db, before.id, t, 'ended', { by: ticket.kind });
  await cash(db, t, 'gain', gain, before.id, deal);
  return [before.id, deal];
}

/** The drill `float`: what the trade earned, as JavaScript reckons. */
const inFloats = (t, lot, part) =>
  String((Number(part.price) - Number(lot.entry)) * -Number(part.units) * Number(t.homeConversionFactors.gainQuoteHome.factor));

async function dealt(db, t, { ticket, lot, side, qty, price, gain }) {
  const { gainQuoteHome, lossQuoteHome } = t.homeConversionFactors;
  const id = randomUUID();
  await db.query(
    `INSERT INTO meridian.fills (id, ticket, lot, tx_no, side, qty, price, to_home, gain, fee, dealt)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
    [id, ticket.id, lot, t.id, side, qty, price, (gain.startsWith('-') ? lossQuoteHome : gainQuoteHome).factor, gain,
      t.commission, t.time],
  );
  await tell(db, lot, t, 'dealt', { side, qty, price });
  return id;
}

const tell = (db, lot, t, what, facts) =>
  db.query(
    `INSERT INTO meridian.lot_events (lot, no, what, facts, happened)
     SELECT $1, coalesce(max(no), 0) + 1, $2, $3, $4 FROM meridian.lot_events WHERE lot = $1`,
    [lot, what, facts, t.time],
  );

/** Money moved: a line in the cashbook and the purse, both under the purse's lock. */
async function cash(db, t, what, delta, lot = null, deal = null) {
  await db.query(
    `WITH line AS (
       INSERT INTO meridian.cash_ledger (acct, no, what, was, delta, became, lot, deal, tx_no, happened)
       SELECT acct, (SELECT coalesce(max(no), 0) + 1 FROM meridian.cash_ledger WHERE acct = $1), $2, cash, $3::numeric,
              cash + $3::numeric, $4, $5, $6, $7 FROM meridian.account WHERE acct = $1 RETURNING became)
     UPDATE meridian.account SET cash = line.became FROM line WHERE acct = $1`,
    [config.account, what, delta, lot, deal, t.id, t.time],
  );
}

/** The drill `two-steps`: orders, lots and fills, then, in a transaction of its own, their money. */
async function inTwoSteps(news) {
  const fresh = await tx(async (db) => {
    const purse = await purseForUpdate(db);
    const due = news.filter((t) => BigInt(t.id) > BigInt(purse.cursor));
    for (const t of due) await book(t.type === 'ORDER_FILL' ? withoutCash(db) : db, t);
    if (due.length) await moveCursor(db, due.at(-1).id);
    return due;
  });
  if (fresh.length) {
    await tx(async (db) => {
      await purseForUpdate(db);
      for (const t of fresh.filter((each) => each.type === 'ORDER_FILL')) {
        const deals = await rows(db, 'SELECT * FROM meridian.fills WHERE tx_no = $1', t.id);
        for (const deal of deals) {
          if (t.tradesClosed || t.tradeReduced) await cash(db, t, 'gain', deal.gain, deal.lot, deal.id);
          if (!/^0(\.0+)?$/.test(t.commission)) await cash(db, t, 'fee', `-${t.commission}`, deal.lot, deal.id);
        }
      }
    });
  }
  return fresh.length;
}

const withoutCash = (db) => ({
  query: (sql, values) => (sql.includes('INSERT INTO meridian.cash_ledger') ? { rows: [] } : db.query(sql, values)),
});

/** Valuation as the broker sees it: margin of each lot, what floats. */
export async function mark({ always = false } = {}) {
  await catchUp();
  const { trades, lastTransactionID } = await broker.trades();
  const account = await broker.summary();
  return tx(async (db) => {
    const purse = await purseForUpdate(db);
    if (purse.cursor !== lastTransactionID || account.lastTransactionID !== lastTransactionID) return 0;
    let marked = 0;
    for (const lot of await rows(db, 'SELECT * FROM meridian.lots WHERE acct = $1 AND left_qty > 0 ORDER BY born FOR UPDATE', config.account)) {
      const theirs = trades.find((trade) => trade.id === lot.trade_no);
      if (!theirs || (!always && theirs.marginUsed === lot.held)) continue;
      await db.query('UPDATE meridian.lots SET held = $2 WHERE id = $1', [lot.id, theirs.marginUsed]);
      await tell(db, lot.id, { time: new Date().toISOString() }, 'revalued', { held: theirs.marginUsed });
      marked += 1;
    }
    await db.query(
      `UPDATE meridian.account SET floating = $2, touched = clock_timestamp(),
         held = (SELECT coalesce(sum(held), 0) FROM meridian.lots WHERE acct = $1 AND left_qty > 0) WHERE acct = $1`,
      [config.account, trades.length ? account.unrealizedPL : '0'],
    );
    return marked;
  });
}

/** Our lots beside the broker's trades, both of the same transaction. */
export async function compare() {
  const began = Date.now();
  const id = randomUUID();
  for (let attempt = 0; attempt < 10; attempt += 1) {
    await catchUp();
    const { trades, lastTransactionID } = await broker.trades();
    const found = await tx(async (db) => {
      const purse = await purseForUpdate(db);
      if (purse.cursor !== lastTransactionID) return undefined;
      const lots = await rows(db, 'SELECT * FROM meridian.lots WHERE acct = $1 AND left_qty > 0', config.account);
      const ours = new Set(lots.map((lot) => `${lot.trade_no} ${lot.side === 'SELL' ? '-' : ''}${lot.left_qty}`));
      const theirs = new Set(trades.map((trade) => `${trade.id} ${trade.currentUnits}`));
      const off = ours.symmetricDifference?.(theirs).size ?? [...ours, ...theirs].filter((key) => !(ours.has(key) && theirs.has(key))).length;
      await db.query(
        `INSERT INTO meridian.reconciliation_runs (id, acct, began, took_ms, lots, off) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT DO NOTHING`,
        [id, config.account, new Date(began), Date.now() - began, Math.max(ours.size, theirs.size), off],
      );
      return { lots: ours.size, off };
    });
    if (found) return found;
  }
  throw new Error('the broker never stood still for a comparison');
}

/** Every live lot, told again from its story; how many differ from what is stored. */
export async function rebuild() {
  return tx(async (db) => {
    await db.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY');
    const lots = await rows(db, 'SELECT id, side, left_qty, gain FROM meridian.lots WHERE acct = $1', config.account);
    const told = await rows(
      db,
      `SELECT lot, sum(CASE WHEN what = 'dealt' THEN CASE facts->>'side' WHEN 'BUY' THEN 1 ELSE -1 END * (facts->>'qty')::numeric END) AS units,
              coalesce(sum((facts->>'gain')::numeric), 0) AS gain
       FROM meridian.lot_events JOIN meridian.lots ON lots.id = lot_events.lot WHERE acct = $1 GROUP BY lot`,
      config.account,
    );
    const stories = new Map(told.map((row) => [row.lot, row]));
    const wrong = lots.filter((lot) => {
      const story = stories.get(lot.id);
      const units = Number(lot.left_qty) * (lot.side === 'BUY' ? 1 : -1);
      return !story || Number(story.units) !== units || Number(story.gain) !== Number(lot.gain);
    });
    if (wrong.length) log('stories that differ:', wrong.map((lot) => lot.id).join(', '));
    return { lots: lots.length, off: wrong.length };
  });
}
