// cmdsched, called from node: what enqueuing costs an application like those
// of the other systems here.

import pg from 'pg'

export const system = 'cmdsched'
export const version = `${process.env.CMDSCHED_VERSION}, pg in node ${process.versions.node}`
export const configs = [{ name: 'schedule() from node', measures: ['enqueue'] }]

const ADD = 'SELECT cmdsched.schedule($1, $2)'
const ADD_MANY = 'SELECT count(cmdsched.schedule($1, data)) FROM jsonb_array_elements($2) AS data'

export async function connect () {
  const client = new pg.Client()
  await client.connect()
  return {
    create: () => client.query('DELETE FROM cmdsched.scheduled_commands'),
    add: (handler, data) => client.query({ name: 'add', text: ADD, values: [handler, data] }),
    addMany: (handler, list) => client.query({ name: 'many', text: ADD_MANY, values: [handler, JSON.stringify(list)] }),
    close: () => client.end()
  }
}
