// What one writes by hand in node: a table with a trigger that notifies, and a
// consumer that listens, claims in batches by SKIP LOCKED, and sleeps until
// the next command is due.  Its effects and the removal commit together.

import { createRequire } from 'node:module'
import pg from 'pg'

const { version: ofPg } = createRequire(import.meta.url)('pg/package.json')
export const system = 'LISTEN/NOTIFY consumer'
export const version = `pg ${ofPg}, node ${process.versions.node}`
export const configs = [{
  name: 'batches of 100',
  measures: ['enqueue', 'drain', 'latency', 'lateness'],
  batch: 100
}]

const SCHEMA = `
  DROP TABLE IF EXISTS bench.listened;
  CREATE TABLE bench.listened (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    handler text NOT NULL,
    data jsonb NOT NULL,
    execute_at timestamptz NOT NULL DEFAULT now()
  );
  CREATE INDEX ON bench.listened (execute_at);
  CREATE OR REPLACE FUNCTION bench.tell() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    NOTIFY listened;
    RETURN NULL;
  END $$;
  CREATE TRIGGER tell AFTER INSERT ON bench.listened EXECUTE FUNCTION bench.tell();`
const ADD = 'INSERT INTO bench.listened (handler, data, execute_at) VALUES ($1, $2, coalesce($3, now()))'
const ADD_MANY = `INSERT INTO bench.listened (handler, data)
  SELECT $1, data FROM jsonb_array_elements($2) AS data`
const CLAIM = `DELETE FROM bench.listened WHERE id = ANY (ARRAY(
    SELECT id FROM bench.listened WHERE execute_at <= now() ORDER BY execute_at LIMIT $1 FOR UPDATE SKIP LOCKED))
  RETURNING data`
const NEXT = `SELECT extract(epoch FROM min(execute_at) - clock_timestamp())::double precision * 1000 AS ms
  FROM bench.listened`

export async function connect () {
  const client = new pg.Client()
  await client.connect()
  return {
    create: () => client.query(SCHEMA),
    add: (handler, data, at) => client.query({ name: 'add', text: ADD, values: [handler, data, at] }),
    addMany: (handler, list) => client.query({ name: 'many', text: ADD_MANY, values: [handler, JSON.stringify(list)] }),
    left: async () => (await client.query('SELECT FROM bench.listened LIMIT 1')).rowCount,
    close: () => client.end()
  }
}

export async function work (config, handler, run) {
  const client = new pg.Client()
  await client.connect()
  let notified = false
  let wakeUp = () => {}
  client.on('notification', () => { notified = true; wakeUp() })
  await client.query('LISTEN listened')
  consume()

  async function consume () {
    const query = (text, values) => client.query(text, values)
    for (;;) {
      notified = false
      await client.query('BEGIN')
      const { rows } = await client.query({ name: 'claim', text: CLAIM, values: [config.batch] })
      for (const row of rows) await run(row.data, query)
      await client.query('COMMIT')
      if (rows.length > 0) continue
      const { ms } = (await client.query({ name: 'next', text: NEXT })).rows[0]
      if (notified || (ms !== null && ms <= 0)) continue
      const timer = setTimeout(() => wakeUp(), ms === null ? 60000 : Math.ceil(ms))
      await new Promise(resolve => { wakeUp = resolve })
      clearTimeout(timer)
    }
  }
}
