// pg-boss.

import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import * as pgBoss from 'pg-boss'

const PgBoss = pgBoss.PgBoss ?? pgBoss.default
const main = dirname(fileURLToPath(import.meta.resolve('pg-boss')))
export const system = 'pg-boss'
export const version = `${JSON.parse(readFileSync(`${main}/../package.json`)).version}, node ${process.versions.node}`
const major = parseInt(version)

export const configs = [
  {
    name: 'batchSize 1000, burstWhenBatchFull, poll 0.5 s',
    measures: ['enqueue', 'drain', 'latency', 'lateness'],
    work: { batchSize: 1000, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 }
  },
  // One command every two seconds; eleven of them are ten times two seconds.
  { name: 'defaults', measures: ['drain'], atMost: 11, work: {} }
]
if (major >= 12) {
  configs.push({
    name: 'notify',
    measures: ['latency'],
    queue: { notify: true },
    instance: { useListenNotify: true },
    work: {}
  })
}

function instance (options) {
  const { PGHOST: host, PGPORT: port, PGUSER: user, PGDATABASE: database } = process.env
  const boss = new PgBoss({ host, port: Number(port), user, database, ...options })
  boss.on('error', error => console.error(String(error)))
  return boss
}

export async function connect (config) {
  const pool = new pg.Pool()
  const boss = instance({ supervise: false, schedule: false, ...config.instance })
  await boss.start()
  return {
    async create () {
      await pool.query('TRUNCATE pgboss.job CASCADE')
      for (const queue of ['do_nothing', 'insert_row', 'note_start']) {
        if (await boss.getQueue(queue)) await boss.deleteQueue(queue)
        await boss.createQueue(queue, major >= 12 ? config.queue : { name: queue })
      }
    },
    add: (handler, data, at) => boss.send(handler, data, { startAfter: at }),
    addMany: (handler, list) => major >= 12
      ? boss.insert(handler, list.map(data => ({ data })))
      : boss.insert(list.map(data => ({ name: handler, data }))),
    left: async () => (await pool.query("SELECT FROM pgboss.job WHERE state < 'completed' LIMIT 1")).rowCount,
    close: async () => { await boss.stop({ graceful: false }); await pool.end() }
  }
}

export async function work (config, handler, run) {
  const pool = new pg.Pool()
  const query = (text, values) => pool.query(text, values)
  const boss = instance(config.instance)
  await boss.start()
  await boss.work(handler, config.work, jobs => Promise.all(jobs.map(job => run(job.data, query))))
}
