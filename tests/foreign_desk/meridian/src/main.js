import http from 'node:http';
import { begin, catchUp, compare, mark, rebuild, Stranger } from './books.js';
import { Doubt } from './broker.js';
import { config, log, sleep } from './config.js';
import { close } from './db.js';
import { Declined, enter, isClose, leave, resolveAll } from './dealing.js';

const started = Date.now();
const state = { ready: false, stopped: '', ending: false };

// One thing at a time: whoever comes waits for the one before.
let last = Promise.resolve();
const alone = (work) => {
  const mine = last.then(work);
  last = mine.catch(() => {});
  return mine;
};

const asks = {
  '/desk/enter': () => enter(),
  '/desk/exit': () => leave('exit'),
  '/desk/trim': () => leave('trim'),
  '/desk/mark': async () => ({ marked: await mark({ always: true }) }),
  '/desk/compare': () => compare(),
  '/desk/rebuild': () => rebuild(),
};

const server = http.createServer(async (request, response) => {
  const answer = (status, body) => {
    response.writeHead(status, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify(body));
  };
  request.resume();
  if (request.method === 'GET' && request.url === '/alive') {
    const well = state.ready && !state.stopped;
    return answer(well ? 200 : 503, {
      status: well ? 'ok' : 'not well',
      reason: state.stopped || undefined,
      up_s: Math.round((Date.now() - started) / 1000),
    });
  }
  const ask = request.method === 'POST' && asks[request.url];
  if (!ask) return answer(404, { error: 'no such thing here' });
  if (!state.ready || state.stopped || state.ending) return answer(503, { error: state.stopped || 'not ready' });
  try {
    return answer(200, await alone(ask));
  } catch (error) {
    log(request.url, error.message);
    if (error instanceof Stranger) state.stopped = error.message;
    if (error instanceof Declined) return answer(409, { error: error.message });
    state.ready = false; // whatever it was, look at the books before the next one
    alone(recover);
    return answer(503, { error: error.message });
  }
});

/** Until the books are caught up and nothing is in doubt. */
async function recover() {
  while (!state.ready && !state.stopped && !state.ending) {
    try {
      await begin();
      await resolveAll();
      await compare();
      state.ready = true;
    } catch (error) {
      if (error instanceof Stranger) state.stopped = error.message;
      log('not ready:', error.message);
      await sleep(250);
    }
  }
}

/** Do something again and again; a failure is looked into before the next time. */
async function every(ms, name, work) {
  let due = Date.now() + ms;
  while (!state.ending) {
    await sleep(Math.min(ms, 250));
    if (!state.ready || state.stopped || (Date.now() < due && !(name === 'watch' && isClose()))) continue;
    due = Date.now() + ms;
    try {
      await alone(work);
    } catch (error) {
      if (error instanceof Declined) continue;
      log(`${name}:`, error.message);
      if (error instanceof Stranger) state.stopped = error.message;
      if (error instanceof Doubt) continue;
      state.ready = false;
      alone(recover);
    }
  }
}

async function end(signal) {
  if (state.ending) return;
  log('ending on', signal);
  state.ending = true;
  server.close();
  server.closeAllConnections();
  await last;
  await close();
  process.exit(0);
}
process.on('SIGTERM', end);
process.on('SIGINT', end);

server.listen(config.port, '127.0.0.1', () => log(`listening on ${config.port}`));
alone(recover);
every(config.watchMs, 'watch', catchUp);
if (config.tradeMs) {
  every(config.tradeMs, 'trade', enter);
  every(2000, 'mark', () => mark());
}
if (config.compareMs) every(config.compareMs, 'compare', compare);
