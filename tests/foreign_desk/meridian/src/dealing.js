import { randomUUID } from 'node:crypto';
import { catchUp } from './books.js';
import * as broker from './broker.js';
import { config, log, sleep } from './config.js';
import { tx } from './db.js';

/** The desk said no, or the broker did; the books are as if nothing had been asked. */
export class Declined extends Error {}

const live = (db) =>
  db.query('SELECT * FROM meridian.lots WHERE acct = $1 AND left_qty > 0 ORDER BY born, id', [config.account]);

/** A price as whole points and back, so that no fraction of it is lost. */
function shift(price, points) {
  const decimals = price.split('.')[1]?.length ?? 0;
  const moved = (BigInt(price.replace('.', '')) + BigInt(points)).toString().padStart(decimals + 1, '0');
  return decimals ? `${moved.slice(0, -decimals)}.${moved.slice(-decimals)}` : moved;
}

export async function enter() {
  const lots = (await tx(live)).rows;
  const pair = config.pairs.find((each) => !lots.some((lot) => lot.pair === each));
  if (!pair) throw new Declined('every pair has its lot');
  const { bid } = await broker.quote(pair);
  const stop = shift(bid, -config.stopPoints);
  const target = shift(bid, config.stopPoints * 2);
  return deal({ kind: 'enter', pair, side: 'BUY', qty: String(config.qty), lot: null, stop, target }, {
    positionFill: 'OPEN_ONLY',
    takeProfitOnFill: { price: target },
    ...(config.bug !== 'naked' && { stopLossOnFill: { price: stop } }),
  }, stop);
}

/** Leave the oldest lot, whole or half. */
export async function leave(kind) {
  const lot = (await tx(live)).rows[0];
  if (!lot) throw new Declined('there is no lot to leave');
  const qty = kind === 'trim' ? String(BigInt(lot.left_qty) / 2n || 1n) : lot.left_qty;
  return deal({ kind, pair: lot.pair, side: lot.side === 'BUY' ? 'SELL' : 'BUY', qty, lot: lot.id }, {
    positionFill: 'REDUCE_ONLY',
  });
}

/** Note it, send it, find out what became of it. */
async function deal(ticket, more, stop) {
  const id = randomUUID();
  let ref = `m-${id}`;
  const order = {
    type: 'MARKET',
    instrument: ticket.pair,
    units: ticket.side === 'BUY' ? ticket.qty : `-${ticket.qty}`,
    timeInForce: 'FOK',
    ...more,
  };
  if (config.bug !== 'send-first') await noted(id, ref, ticket);
  const sent = Date.now();
  try {
    await broker.place({ ...order, clientExtensions: { id: ref } });
  } catch (error) {
    if (error instanceof broker.Refused && error.status !== 400) await settle(id, 'void', error.message);
    if (error instanceof broker.Doubt) {
      log(`ticket ${id} is in doubt:`, error.message);
      if (config.bug === 'resend') {
        ref = `m-${randomUUID()}`;
        await tx((db) => db.query('UPDATE meridian.orders SET client_ref = $2 WHERE id = $1', [id, ref]));
        await broker.place({ ...order, clientExtensions: { id: ref } });
      }
    }
  }
  if (config.bug === 'send-first') await noted(id, ref, ticket);
  const done = await outcome(id, sent);
  if (done.state !== 'done') throw new Declined(done.remark ?? 'the order was never placed');
  if (config.bug === 'naked' && stop) await broker.protect(await tradeOf(done.lot), { stopLoss: { price: stop } });
  return { ticket: id, result: 'done' };
}

const noted = (id, ref, { kind, pair, side, qty, lot, stop, target }) =>
  tx((db) =>
    db.query(
      `INSERT INTO meridian.orders (id, acct, client_ref, kind, pair, side, qty, state, lot, stop, target)
       VALUES ($1, $2, $3, $4, $5, $6, $7, 'noted', $8, $9, $10) ON CONFLICT DO NOTHING`,
      [id, config.account, ref, kind, pair, side, qty, lot, stop, target],
    ),
  );

const settle = (id, state, remark) =>
  tx((db) =>
    db.query(
      `UPDATE meridian.orders SET state = $2, remark = $3, updated_at = clock_timestamp()
       WHERE id = $1 AND state IN ('noted', 'sent')`,
      [id, state, remark],
    ),
  );

const tradeOf = async (lot) =>
  (await tx((db) => db.query('SELECT trade_no FROM meridian.lots WHERE id = $1', [lot]))).rows[0].trade_no;

/** Read the broker's transactions until the ticket is in them, or has not been for so long that it never will be. */
async function outcome(id, sent) {
  for (;;) {
    try {
      await catchUp();
    } catch (error) {
      if (!(error instanceof broker.Doubt)) throw error;
      log('the broker cannot be asked:', error.message);
      await sleep(200);
      continue;
    }
    const ticket = (await tx((db) => db.query('SELECT * FROM meridian.orders WHERE id = $1', [id]))).rows[0];
    if (['done', 'void'].includes(ticket.state)) return ticket;
    if (ticket.state === 'noted' && Date.now() - sent > config.patienceMs) {
      await settle(id, 'void', 'never seen at the broker');
      watchClosely();
    }
    await sleep(100);
  }
}

/** What an earlier life of this process left in doubt. */
export async function resolveAll() {
  await catchUp();
  const open = await tx((db) =>
    db.query(`SELECT * FROM meridian.orders WHERE acct = $1 AND state IN ('noted', 'sent') ORDER BY created_at`, [config.account]),
  );
  for (const ticket of open.rows) {
    const done = await outcome(ticket.id, ticket.created_at.getTime());
    log(`ticket ${ticket.id} of an earlier life is ${done.state}`);
  }
}

let closelyUntil = 0;
/** A request that was given up may still arrive: look often for a while. */
export const watchClosely = () => {
  closelyUntil = Date.now() + 15000;
};
export const isClose = () => Date.now() < closelyUntil;
