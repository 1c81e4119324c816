/**
 * A shop: who has not paid is reminded, later the order is cancelled; a payment withdraws the cancellation.
 *
 *     psql -f examples/shop.sql
 *     npx tsc && npx tsc --project tests
 *     SHOP_DATABASE=postgres://shop_app@localhost/shop PORT=8000 node build/examples/shop.js
 *     curl -d '{"order_id": "7"}' http://localhost:8000/orders
 */
import { createServer, type IncomingMessage } from "node:http";
import pg from "pg";
import { CommandRegistry, CommandScheduler, CommandSchedulerService, CommandSchedulerWorker } from "cmdsched";
import { Mediator } from "./mediator.js";
import { inTransaction } from "./transaction.js";

const database = process.env["SHOP_DATABASE"] ?? "postgres://shop_app@localhost/shop";
const remindAfter = Number(process.env["SHOP_REMIND_AFTER"] ?? 86_400) * 1000;
const cancelAfter = Number(process.env["SHOP_CANCEL_AFTER"] ?? 172_800) * 1000;
const pool = new pg.Pool({ connectionString: database });

// ----------------------------------------------------------------------------
// The commands and their handlers
// ----------------------------------------------------------------------------

/** Remind the customer of an order. */
class SendReminder {
  constructor(readonly orderId: string) {}
}

/** Cancel an order, unless it has been paid. */
class CancelUnpaidOrder {
  constructor(readonly orderId: string) {}
}

const registry = new CommandRegistry("shop");
registry.register(SendReminder);
registry.register(CancelUnpaidOrder);

const scheduler = new CommandScheduler(pool, registry);
const mediator = new Mediator();

/** Here a mail would be sent.  This may happen twice: what is outside the database cannot be rolled back. */
mediator.handle(SendReminder, async ({ orderId }) => {
  await pool.query("UPDATE shop.orders SET reminders = reminders + 1 WHERE order_id = $1 AND status = 'unpaid'", [
    orderId,
  ]);
});

/** Exactly once: the command is completed in the same transaction. */
mediator.handle(CancelUnpaidOrder, async ({ orderId }) => {
  await inTransaction(pool, async (client) => {
    await scheduler.within(client).complete();
    await client.query("UPDATE shop.orders SET status = 'cancelled' WHERE order_id = $1 AND status = 'unpaid'", [
      orderId,
    ]);
  });
});

// ----------------------------------------------------------------------------
// The application
// ----------------------------------------------------------------------------

const service = new CommandSchedulerService(scheduler, (command) => mediator.send(command));
const worker = new CommandSchedulerWorker(service);

type Answer = [status: number, body: object];

/** Create an order, and schedule in the same transaction what is to follow. */
async function createOrder(orderId: string): Promise<Answer> {
  const now = Date.now();
  const ids = await inTransaction(pool, async (client) => {
    const transaction = scheduler.within(client);
    const schedule_id = await transaction.schedule(new SendReminder(orderId), new Date(now + remindAfter), {
      description: "payment reminder",
    });
    const cancellation_id = await transaction.schedule(new CancelUnpaidOrder(orderId), new Date(now + cancelAfter), {
      metadata: { reason: "auto_cancel_unpaid" },
    });
    await client.query("INSERT INTO shop.orders (order_id, cancellation_id) VALUES ($1, $2)", [
      orderId,
      cancellation_id,
    ]);
    return { schedule_id, cancellation_id };
  });
  // The server tells the worker when something is due; this is for what is due already.
  worker.trigger();
  return [200, ids];
}

/** Note that an order was paid, and withdraw its cancellation. */
async function payOrder(orderId: string): Promise<Answer> {
  return await inTransaction(pool, async (client) => {
    const paid = await client.query<{ cancellation_id: string }>(
      "UPDATE shop.orders SET status = 'paid' WHERE order_id = $1 AND status = 'unpaid' RETURNING cancellation_id",
      [orderId],
    );
    if (paid.rows[0] === undefined) {
      return [409, { error: "There is no such order that is unpaid." }];
    }
    return [200, { withdrawn: await scheduler.within(client).cancel(paid.rows[0].cancellation_id) }];
  });
}

/** Return an order. */
async function getOrder(orderId: string): Promise<Answer> {
  const { rows } = await pool.query<object>("SELECT * FROM shop.orders WHERE order_id = $1", [orderId]);
  return rows[0] === undefined ? [404, { error: "There is no such order." }] : [200, rows[0]];
}

async function answer(request: IncomingMessage): Promise<Answer> {
  const route = `${request.method} ${request.url}`;
  const [, orderId, action] = /^\S+ \/orders\/([^/?]+)(\/payment)?$/.exec(route) ?? [];
  if (route === "POST /orders") {
    const body = await readBody(request);
    return typeof body.order_id === "string"
      ? await createOrder(body.order_id)
      : [400, { error: "order_id is missing." }];
  }
  if (orderId !== undefined && request.method === "POST" && action !== undefined) {
    return await payOrder(decodeURIComponent(orderId));
  }
  if (orderId !== undefined && request.method === "GET" && action === undefined) {
    return await getOrder(decodeURIComponent(orderId));
  }
  return [404, { error: "There is no such page." }];
}

async function readBody(request: IncomingMessage): Promise<{ order_id?: unknown }> {
  let text = "";
  for await (const part of request.setEncoding("utf8")) {
    text += part;
  }
  return JSON.parse(text) as { order_id?: unknown };
}

const server = createServer((request, response) => {
  answer(request)
    .catch((error: unknown): Answer => {
      console.error(error);
      return [500, { error: "This did not work." }];
    })
    .then(([status, body]) => {
      response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body));
    });
});

// Orders are taken and commands carried out until somebody ends it.
worker.start();
server.listen(process.env["PORT"] ?? 8000);
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, async () => {
    server.close();
    server.closeIdleConnections();
    await worker.stop();
    await pool.end();
  });
}
