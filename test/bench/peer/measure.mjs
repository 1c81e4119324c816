// measure.mjs PEER COMMANDS LATENCIES TIMERS
//
// Measures a peer that runs in node, in each of its configurations, and puts
// the figures into bench.figures.  PEER.mjs exports
//
//   system, version   what it is called
//   configs           [{name, measures, atMost, ...}]: which measures, with at
//                     most how many commands
//   connect(config)   the side of the application: {create(), add(handler,
//                     data, at), addMany(handler, data), left(), close()}
//   work(config, handler, run)
//                     the side of the worker: calls run(data, query) for each
//                     command; "query" is what its handler would use
//
// The worker is a process of its own: this file again, with "work".

import { fork } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'

const [name, ...rest] = process.argv.slice(2)
const peer = await import(`./${name}.mjs`)
const now = () => performance.timeOrigin + performance.now()
const payload = n => ({ n, reason: 'payment window elapsed', note: 'x'.repeat(48) })
const range = n => Array.from({ length: n }, (_, i) => i + 1)

if (rest[0] === 'work') {
  work(JSON.parse(rest[1]), rest[2], Number(rest[3]))
} else {
  const [commands, latencies, timers] = rest.map(Number)
  await measure(commands, latencies, timers)
  process.exit()
}

// ---------------------------------------------------------------------------
// The worker.  It says when it is ready, is told to go, says when it has run
// as many commands as expected, and tells what it did when it is asked.
// ---------------------------------------------------------------------------

function work (config, handler, expected) {
  const did = { first: null, ran: 0, starts: [] }
  const handlers = {
    do_nothing: async () => {},
    insert_row: (data, query) => query('INSERT INTO bench.effects VALUES ($1)', [data]),
    note_start: async data => { did.starts.push([data.n, now()]) }
  }
  async function run (data, query) {
    did.first ??= now()
    await handlers[handler](data, query)
    if (++did.ran === expected) process.send('ran')
  }
  process.on('message', async message => {
    if (message === 'go') {
      await peer.work(config, handler, run)
      process.send('working')
    } else {
      process.send(did)
    }
  })
  process.on('disconnect', () => process.exit())
  process.send('ready')
}

async function startWorker (config, handler, expected) {
  const child = fork(process.argv[1], [name, 'work', JSON.stringify(config), handler, expected])
  const deadline = setTimeout(() => { console.error(`${name}: not done after 10 minutes`); process.exit(1) }, 600000)
  const heard = {}
  let wakeUp = () => {}
  child.on('message', message => { heard[message.ran === undefined ? message : 'did'] = message; wakeUp() })
  child.on('exit', code => { if (!heard.did) { console.error(`${name}: the worker ended: ${code}`); process.exit(1) } })
  const hear = async what => {
    while (!heard[what]) await new Promise(resolve => { wakeUp = resolve })
    return heard[what]
  }
  await hear('ready')
  child.send('go')
  return {
    working: () => hear('working'),
    finished: () => hear('ran'),
    async end () {
      child.send('tell')
      const did = await hear('did')
      child.kill()
      clearTimeout(deadline)
      if (did.ran !== expected) throw new Error(`${name}: ${did.ran} commands ran, not ${expected}`)
      return did
    }
  }
}

// ---------------------------------------------------------------------------
// The measures.
// ---------------------------------------------------------------------------

async function measure (commands, latencies, timers) {
  const sql = new pg.Client()
  await sql.connect()
  for (const config of peer.configs) {
    const note = (measure, unit, value) =>
      sql.query('CALL bench.note($1, $2, $3, $4, $5, $6)',
        [peer.system, config.name, peer.version, measure, unit, value])
    const count = Math.min(commands, config.atMost ?? commands)
    const queue = await peer.connect(config)
    for (const measure of config.measures) {
      console.error(`  ${peer.system} (${config.name}): ${measure}`)
      await queue.create()
      await sql.query('TRUNCATE bench.effects, bench.commits, bench.starts')
      switch (measure) {
        case 'enqueue': await measureEnqueue(); break
        case 'drain': await measureDrain('do_nothing'); await measureDrain('insert_row'); break
        case 'latency': await measureLatency(); break
        case 'lateness': await measureLateness()
      }
    }
    await queue.close()

    async function measureEnqueue () {
      const n = Math.ceil(commands / 50)
      const began = now()
      for (let i = 1; i <= n; i++) await queue.add('do_nothing', payload(i))
      await note('enqueue, one a transaction', 'commands/s', n / (now() - began) * 1000)
      await queue.create()
      if (!queue.addMany) return
      const rate = await fill('do_nothing', commands)
      await note('enqueue, 1000 a transaction', 'commands/s', rate)
    }

    async function fill (handler, n) {
      const began = now()
      for (let i = 0; i < n; i += 1000) {
        await queue.addMany(handler, range(Math.min(1000, n - i)).map(j => payload(i + j)))
      }
      return n / (now() - began) * 1000
    }

    // From the start of the first handler: neither node's start nor the
    // first look at the table counts.
    async function measureDrain (handler) {
      await queue.create()
      await fill(handler, count)
      await sql.query('VACUUM ANALYZE')
      await sql.query('CHECKPOINT')
      const worker = await startWorker(config, handler, count)
      await worker.finished()
      while (await queue.left()) await sleep(2)
      const ended = now()
      await sleep(200)
      const { first } = await worker.end()
      const effects = (await sql.query('SELECT count(*)::integer AS n FROM bench.effects')).rows[0].n
      if (handler === 'insert_row' && effects !== count) throw new Error(`${effects} effects, not ${count}`)
      await note(`drain, ${handler}`, 'commands/s', count / (ended - first) * 1000)
    }

    async function measureLatency () {
      const worker = await startWorker(config, 'note_start', latencies)
      await worker.working()
      await sleep(1000)
      const commits = []
      for (const n of range(latencies)) {
        await queue.add('note_start', { n })
        commits.push([n, now()])
        await sleep(20)
      }
      await notePercentiles('commit to start', worker, commits)
    }

    async function measureLateness () {
      const worker = await startWorker(config, 'note_start', timers)
      await worker.working()
      const commits = range(timers).map(n => [n, Math.round(now() + 1000 + Math.random() * 4000)])
      for (const [n, at] of commits) await queue.add('note_start', { n }, new Date(at))
      await notePercentiles('timer lateness', worker, commits)
    }

    async function notePercentiles (measure, worker, commits) {
      await worker.finished()
      const { starts } = await worker.end()
      await store('commits', commits)
      await store('starts', starts)
      await sql.query('CALL bench.note_percentiles($1, $2, $3, $4)',
        [peer.system, config.name, peer.version, measure])
    }

    function store (table, times) {
      return sql.query(`INSERT INTO bench.${table} SELECT n, to_timestamp(ms / 1000)
        FROM unnest($1::integer[], $2::double precision[]) AS t(n, ms)`,
      [times.map(t => t[0]), times.map(t => t[1])])
    }
  }
}
