// graphile-worker.  "published preset" is the one of its own benchmark.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import pg from 'pg'
import { Logger, makeWorkerUtils, run as start } from 'graphile-worker'

const main = dirname(createRequire(import.meta.url).resolve('graphile-worker'))
export const system = 'graphile-worker'
export const version = `${JSON.parse(readFileSync(`${main}/../package.json`)).version}, node ${process.versions.node}`

export const configs = [
  {
    name: 'published preset',
    measures: ['enqueue', 'drain', 'latency', 'lateness'],
    worker: {
      concurrentJobs: 24,
      maxPoolSize: 25,
      localQueue: { size: 500 },
      completeJobBatchDelay: 0,
      failJobBatchDelay: 0
    }
  },
  { name: 'defaults', measures: ['drain', 'latency', 'lateness'], atMost: 10000, worker: {} },
  { name: 'pollInterval 100', measures: ['lateness'], worker: { pollInterval: 100 } }
]

const logger = new Logger(() => (level, message) => { if (level === 'error') console.error(message) })

function newPool (max) {
  const pool = new pg.Pool({ max })
  pool.on('error', error => console.error(String(error)))
  pool.on('connect', client => client.on('error', () => {}))
  return pool
}

export async function connect () {
  const pool = newPool(10)
  const utils = await makeWorkerUtils({ pgPool: pool, logger })
  await utils.migrate()
  return {
    create: () => pool.query('TRUNCATE graphile_worker._private_jobs'),
    add: (handler, data, at) => utils.addJob(handler, data, { runAt: at }),
    addMany: (handler, list) => utils.addJobs(list.map(payload => ({ identifier: handler, payload }))),
    left: async () => (await pool.query('SELECT FROM graphile_worker._private_jobs LIMIT 1')).rowCount,
    close: async () => { await utils.release(); await pool.end() }
  }
}

export async function work (config, handler, run) {
  await start({
    pgPool: newPool(config.worker.maxPoolSize ?? 10),
    noHandleSignals: true,
    preset: { worker: { ...config.worker, logger } },
    taskList: { [handler]: (data, helpers) => run(data, helpers.query) }
  })
}
