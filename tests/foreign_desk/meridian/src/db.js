import pg from 'pg';
import { config, log, sleep } from './config.js';

const pool = new pg.Pool({
  connectionString: config.database,
  max: 3,
  connectionTimeoutMillis: 4000,
  query_timeout: 5000,
  statement_timeout: 4000,
  lock_timeout: 2500,
  idle_in_transaction_session_timeout: 4000, // so that a session of ours that died does not keep its locks
  keepAlive: true,
});
pool.on('error', (error) => log('idle connection lost:', error.message));
// A connection that breaks in use emits an error beside the query's own; nobody listening would end the process.
pool.on('connect', (client) => client.on('error', (error) => log('connection lost:', error.message)));

const FINAL = /^(22|23|42)/; // wrong data or wrong SQL: trying again changes nothing

/**
 * Run `work` in one transaction, again after whatever may pass. The answer to a COMMIT can get lost, so `work` must
 * find out by itself, from what it reads under its lock, that it was done before.
 */
export async function tx(work, { limitMs = 25000 } = {}) {
  const ends = Date.now() + limitMs;
  for (let attempt = 1; ; attempt += 1) {
    let client;
    try {
      client = await pool.connect();
      await client.query('BEGIN');
      const result = await work(client);
      await client.query('COMMIT');
      client.release();
      return result;
    } catch (error) {
      client?.release(error); // never back into the pool: nobody knows what it is in the middle of
      if (FINAL.test(error.code ?? '') || error.final || Date.now() > ends) throw error;
      log(`transaction, attempt ${attempt}:`, error.message);
      await sleep(Math.min(50 * 2 ** attempt, 1000));
    }
  }
}

export const close = () => pool.end();
