// A program whose broker is written into it, by Node's fetch and by its https module; it knows of no proxy.
import http from 'node:http';
import https from 'node:https';
import { readFileSync } from 'node:fs';

const said = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const broker = 'https://api-fxpractice.oanda.com';
const path = `/v3/accounts/${said.account}/orders`;
const options = { method: 'POST', headers: { Authorization: `Bearer ${said.token}`, 'Content-Type': 'application/json' } };
const body = JSON.stringify({ order: { type: 'MARKET', instrument: 'EUR_USD', units: '100' } });

const byHttps = () => new Promise((resolve, reject) => {
  https.request(broker + path, options, (answer) => answer.resume().on('end', () => resolve(answer.statusCode)))
    .on('error', reject).end(body);
});
const byFetch = async () => {
  const answer = await fetch(broker + path, { ...options, body });
  await answer.arrayBuffer();
  return answer.status;
};
const live = async () => (await fetch('https://api-fxtrade.oanda.com/v3/accounts')).status;

http.createServer(async (request, response) => {
  const answer = (status, words) => response.writeHead(status).end(JSON.stringify({ error: words }));
  if (request.method === 'GET') return answer(200, '');
  try {
    const status = await { '/fetch': byFetch, '/https': byHttps, '/live': live }[request.url]();
    return answer(status === 201 ? 200 : 502, `answered ${status}`);
  } catch (error) {
    return answer(502, `${error.message}: ${error.cause?.message ?? ''}`);
  }
}).listen(Number(said.port), '127.0.0.1');
