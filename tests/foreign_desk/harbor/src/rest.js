// Stands in for PostgREST, which is no package of any registry: tables by GET, POST and PATCH with `column=eq.value`,
// each request a transaction of its own, as there; and its root answers once it serves.
import http from 'node:http';
import pg from 'pg';

const { PGRST_DB_URI, PGRST_SERVER_PORT } = process.env;
const pool = new pg.Pool({ connectionString: PGRST_DB_URI, max: 1, query_timeout: 5000 });
pool.on('error', () => {});
pool.on('connect', (client) => client.on('error', () => {}));
const name = (word) => {
  if (!/^[a-z_]+$/.test(word)) throw new Error(`no such name: ${word}`);
  return word;
};

function statement(method, table, filters, body) {
  const values = [];
  const put = (value) => `$${values.push(value !== null && typeof value === 'object' ? JSON.stringify(value) : value)}`;
  const pairs = body && Object.entries(body);
  let text;
  if (method === 'POST') {
    const columns = pairs.map(([column]) => name(column)).join(', ');
    text = `INSERT INTO harbor.${table} (${columns}) VALUES (${pairs.map(([, value]) => put(value)).join(', ')}) RETURNING *`;
  } else {
    const set = method === 'PATCH' && pairs.map(([column, value]) => `${name(column)} = ${put(value)}`).join(', ');
    const where = filters.map(([column, value]) => `${name(column)} = ${put(value.replace(/^eq\./, ''))}`).join(' AND ');
    const rest = where ? ` WHERE ${where}` : '';
    text = set ? `UPDATE harbor.${table} SET ${set}${rest} RETURNING *` : `SELECT * FROM harbor.${table}${rest}`;
  }
  return { text, values };
}

const rest = http.createServer(async (request, response) => {
  const answer = (status, body) => {
    response.writeHead(status, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify(body));
  };
  try {
    const url = new URL(request.url, 'http://rest');
    if (url.pathname === '/') return answer(200, { swagger: '2.0' });
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = chunks.length ? JSON.parse(Buffer.concat(chunks).toString('utf8')) : undefined;
    const table = name(url.pathname.slice(1));
    const { rows } = await pool.query(statement(request.method, table, [...url.searchParams], body));
    return answer(request.method === 'POST' ? 201 : 200, rows);
  } catch (error) {
    return answer(error.code?.startsWith('23') ? 409 : 503, { code: error.code, message: error.message });
  }
});
rest.listen(Number(PGRST_SERVER_PORT), '127.0.0.1');
