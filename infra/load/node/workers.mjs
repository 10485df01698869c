// What both peers share: the same pool as the program's, divided among as many processes as were asked for, and an http server in each of them.
import cluster from 'node:cluster';
import { createServer } from 'node:http';
import pg from 'pg';

const processes = Number(process.env.PROCESSES ?? 1);

/** Connections as the program has them (DATABASE_POOL_SIZE), rounded up where processes share them. */
export const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: Math.ceil(Number(process.env.DATABASE_POOL_SIZE) / processes) });

/** A prepared statement: parsed once for each connection. */
export const prepared = (name, text) => async (...values) => (await pool.query({ name, text, values })).rows;

/** Listens in one process, or in workers of node:cluster that share the port, which get what `settings` says of the primary. */
export function serve(port, listener, settings = {}) {
  if (cluster.isPrimary && processes > 1) {
    for (let number = 0; number < processes; number++) cluster.fork(settings);
  } else {
    createServer(listener).listen(port, '127.0.0.1');
  }
}

/** Whether this process answers requests, and does not only start others. */
export const answers = cluster.isWorker || processes === 1;
