import http from 'node:http';
import https from 'node:https';
import { config } from './config.js';

const secure = config.broker.protocol === 'https:';
const agent = new (secure ? https : http).Agent({ keepAlive: true, maxSockets: 4 });

/** The broker answered, and the answer is no. */
export class Refused extends Error {
  constructor(status, body) {
    super(body?.errorMessage ?? `the broker answered ${status}`);
    this.status = status;
    this.body = body;
  }
}

/** Nobody knows whether the broker has heard of it. */
export class Doubt extends Error {}

function call(method, path, body) {
  const payload = body && JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const request = (secure ? https : http).request(
      {
        agent,
        method,
        hostname: config.broker.hostname,
        port: config.broker.port || undefined,
        path: `/v3/accounts/${encodeURIComponent(config.account)}${path}`,
        headers: {
          Authorization: `Bearer ${config.token}`,
          ...(payload && { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(payload) }),
        },
      },
      (response) => {
        const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('aborted', () => reject(new Doubt('the answer was cut off')));
        response.on('end', () => {
          clearTimeout(timer);
          let parsed;
          try {
            parsed = JSON.parse(Buffer.concat(chunks).toString('utf8'));
          } catch {
            return reject(new Doubt(`the answer (${response.statusCode}) is no JSON`));
          }
          if (response.statusCode >= 500) return reject(new Doubt(`the broker answered ${response.statusCode}`));
          if (response.statusCode >= 400) return reject(new Refused(response.statusCode, parsed));
          return resolve(parsed);
        });
      },
    );
    const timer = setTimeout(() => request.destroy(new Doubt(`no answer in ${config.httpMs} ms`)), config.httpMs);
    request.on('error', (error) => {
      clearTimeout(timer);
      reject(error instanceof Doubt ? error : new Doubt(error.message));
    });
    request.end(payload);
  });
}

export const summary = async () => (await call('GET', '/summary')).account;
export const trades = () => call('GET', '/openTrades');
export const since = async (id) => (await call('GET', `/transactions/sinceid?id=${id}`)).transactions;
export const place = (order) => call('POST', '/orders', { order });
export const protect = (trade, orders) => call('PUT', `/trades/${trade}/orders`, orders);
export const quote = async (pair) => {
  const { prices } = await call('GET', `/pricing?instruments=${pair}`);
  return { bid: prices[0].bids[0].price, ask: prices[0].asks[0].price };
};
