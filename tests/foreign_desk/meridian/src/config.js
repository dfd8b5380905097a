const number = (name, fallback) => {
  const value = Number(process.env[name] ?? fallback);
  if (!Number.isFinite(value) || value < 0) throw new Error(`${name} must be a number that is not negative`);
  return value;
};

const need = (name) => {
  if (!process.env[name]) throw new Error(`${name} is not set`);
  return process.env[name];
};

export const config = {
  port: number('PORT', 8090),
  database: need('DATABASE_URL'),
  broker: new URL(need('BROKER_URL')),
  account: need('BROKER_ACCOUNT'),
  token: need('BROKER_TOKEN'),
  qty: number('QTY', 1000),
  stopPoints: number('STOP_POINTS', 200), // tenths of a pip
  pairs: (process.env.PAIRS ?? 'EUR_USD,GBP_USD,USD_JPY').split(','),
  tradeMs: number('TRADE_MS', 0), // 0: only when asked
  watchMs: number('WATCH_MS', 1000), // how often the broker's transactions are read
  compareMs: number('COMPARE_MS', 0),
  patienceMs: 3000, // an order that is not seen for so long after it was sent was never placed
  httpMs: 4000,
  bug: process.env.BUG ?? '', // for drills only: a mistake of ours from the past, on purpose
};

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
export const log = (...words) => console.log(new Date().toISOString(), ...words);
