// AccMan on the stack that its source names, as quick as we could write it.
//
//   GET   /tot?cred=X         the balance, 404 when there is no such account
//   PATCH /mod?cred=X&by=N    reads the balance, adds N, writes it back
//
// Environment: PORT, DATA (LevelDB folder), SYNC=1 (every write reaches the
// disk before it is answered), NAIVE=1 (see below), ACCOUNTS, BALANCE.

import Fastify from 'fastify'
import { Level } from 'level'

const { PORT, DATA, SYNC = '0', NAIVE = '0', ACCOUNTS = '1000', BALANCE = '1000000000' } = process.env
if (!PORT || !DATA) throw new Error('PORT and DATA must be set')

const db = new Level(DATA, { valueEncoding: 'json' })
await db.open()
const opening = []
for (let i = 0; i < Number(ACCOUNTS); i++) opening.push({ type: 'put', key: 'k' + i, value: Number(BALANCE) })
await db.batch(opening, { sync: true })

const writing = { sync: SYNC === '1' }

async function mod(cred, by) {
  const tot = ((await db.get(cred)) ?? 0) + by
  await db.put(cred, tot, writing)
  return tot
}

// `await db.get` yields, so two requests for one account may read the same
// balance and one deduction is lost. The first request of an account works at
// once; those that arrive meanwhile wait in its line. Accounts do not wait for
// each other.
const lines = new Map()

async function modInLine(cred, by) {
  const line = lines.get(cred)
  if (line === undefined) lines.set(cred, [])
  else await new Promise((resolve) => line.push(resolve))
  try {
    return await mod(cred, by)
  } finally {
    const waiting = lines.get(cred)
    if (waiting.length === 0) lines.delete(cred)
    else waiting.shift()()
  }
}

const change = NAIVE === '1' ? mod : modInLine

// The response schema lets Fastify serialise with compiled code, its own fast way.
const answer = { 200: { type: 'object', properties: { tot: { type: 'integer' } } } }

const app = Fastify({ logger: false })
app.get('/tot', { schema: { response: answer } }, async (request, reply) => {
  const tot = await db.get(request.query.cred)
  return tot === undefined ? reply.code(404).send() : { tot }
})
app.patch('/mod', { schema: { response: answer } }, async (request, reply) => {
  const by = Number(request.query.by)
  if (!request.query.cred || !Number.isSafeInteger(by)) return reply.code(400).send()
  return { tot: await change(request.query.cred, by) }
})

await app.listen({ host: '127.0.0.1', port: Number(PORT) })

const stop = async () => {
  await app.close()
  await db.close()
  process.exit(0)
}
process.on('SIGTERM', stop)
process.on('SIGINT', stop)
