/** What is the Node client's own: classes, texts, pools, workers, leases. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import {
  CommandRegistry,
  CommandScheduler,
  CommandSchedulerService,
  CommandSchedulerWorker,
  currentClaim,
  LeaseLostError,
  TimeWithoutZoneError,
  UnknownCommandError,
} from "cmdsched";
import { inTransaction } from "../examples/transaction.js";
import { asSuperuser, connected, quiet, rowsOf, waitUntil } from "./support.js";

const LATER = new Date("2040-01-01T12:30:00.123Z");

class Ping {
  constructor(readonly n: unknown) {}
}

class Ship {
  constructor(
    readonly orderId: string,
    readonly before: Date,
  ) {}

  static fromJSON(data: { orderId: string; before: string }): Ship {
    return new Ship(data.orderId, new Date(data.before));
  }
}

const registry = new CommandRegistry("client");
registry.register(Ping);
registry.register(Ship);

let scheduler: CommandScheduler;

before(() =>
  asSuperuser(
    "CREATE EXTENSION IF NOT EXISTS cmdsched",
    "CREATE ROLE client LOGIN",
    "CREATE SCHEMA client AUTHORIZATION client CREATE TABLE effects (n integer)",
    "ALTER TABLE client.effects OWNER TO client",
    "GRANT USAGE ON SCHEMA cmdsched TO client",
    ...["Ping", "Ship"].map(
      (type) =>
        `SELECT cmdsched.register_handler('${type}', NULL, 'client', external => true, backoff => '0.1 seconds')`,
    ),
  ),
);

beforeEach(() => {
  scheduler = new CommandScheduler({ user: "client" }, registry, { log: quiet });
});

afterEach(async () => {
  await scheduler.close();
  await sql("SELECT cmdsched.cancel(schedule_id) FROM cmdsched.scheduled_commands");
  await sql("DELETE FROM client.effects");
});

async function sql(text: string, ...values: unknown[]): Promise<unknown[][]> {
  return await connected("client", (connection) => rowsOf(connection, text, values));
}

function secondsAgo(seconds: number): Date {
  return new Date(Date.now() - seconds * 1000);
}

async function loseConnections(): Promise<void> {
  await asSuperuser("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'client'");
}

// Classes

test("commands come back as objects of their classes", async () => {
  for (const command of [new Ship("7", LATER), new Ping([{ a: null }]), new Ping("x")]) {
    const scheduleId = await scheduler.schedule(command, LATER);
    const scheduled = await scheduler.get(scheduleId);
    assert.deepStrictEqual(scheduled!.command, command);
    assert.deepStrictEqual(scheduled!.executeAt, LATER);
  }
});

test("a command is named after its class", () => {
  class SendMail {
    constructor(readonly to: string) {}
  }
  const other = new CommandRegistry("mail");
  assert.equal(other.register(SendMail), SendMail);
  assert.equal(other.register(SendMail), SendMail);
  assert.deepEqual(other.nameOf(new SendMail("a")), { type: "SendMail", module: "mail" });
  assert.deepStrictEqual(other.load("SendMail", "mail", '{"to": "a"}'), new SendMail("a"));
  assert.throws(() => other.register(SendMail, { type: "Mail" }), RangeError);
  assert.throws(() => other.register(Ping, { type: "SendMail" }), RangeError);
  assert.throws(() => other.register((() => undefined) as never), TypeError);
  assert.throws(() => other.register(class {}), TypeError);
  assert.throws(() => other.load("Other", "mail", "{}"), UnknownCommandError);
  assert.throws(() => other.nameOf(Object.create(null)), UnknownCommandError);
  other.register(Ping, { type: "Ping2", module: "elsewhere" });
  assert.deepEqual(other.commandTypes, ["Ping2", "SendMail"]);
  assert.deepEqual(other.nameOf(new Ping(1)), { type: "Ping2", module: "elsewhere" });
});

test("no field makes another object of a command", () => {
  const command = registry.load("Ping", "client", '{"__proto__": {"n": 1}, "constructor": 2}');
  assert.ok(command instanceof Ping);
  assert.equal(command.n, undefined);
  assert.equal(registry.nameOf(command).type, "Ping");
  assert.equal(JSON.stringify(command), '{"__proto__":{"n":1},"constructor":2}');
});

test("what cannot be written is refused", async () => {
  const loop: unknown[] = [];
  loop.push(loop);
  const refused: [unknown, new (message: string) => Error][] = [
    [NaN, RangeError],
    [[-Infinity], RangeError],
    [new Date(NaN), RangeError],
    [new Map(), TypeError],
    [{ a: new Set() }, TypeError],
    [() => undefined, TypeError],
    [1n, TypeError],
    [loop, TypeError],
  ];
  for (const [value, error] of refused) {
    await assert.rejects(scheduler.schedule(new Ping(value), LATER), error);
    await assert.rejects(scheduler.schedule(new Ping(1), LATER, { metadata: { value } }), error);
  }
  await assert.rejects(scheduler.schedule({ n: 1 }, LATER), UnknownCommandError);
  assert.deepEqual(await sql("SELECT count(*)::integer FROM cmdsched.scheduled_commands"), [[0]]);
});

test("a time says its zone", async () => {
  for (const time of ["2040-01-01T12:00:00", "2040-01-01 12:00", "2040-01-01", "2040-01-01T12:00:00.123"]) {
    await assert.rejects(scheduler.schedule(new Ping(1), time), (error: Error) => {
      return error instanceof TimeWithoutZoneError && /time zone/.test(error.message);
    });
  }
  for (const time of ["soon", "", "infinity", "2040-01-01T12:00:00 Europe/Berlin", "2040-01-01Z", new Date(NaN)]) {
    await assert.rejects(scheduler.schedule(new Ping(1), time), RangeError);
  }
  const written: [Date | string, string][] = [
    ["2040-01-01T12:00:00.123456+05:45", "2040-01-01 06:15:00.123456+00"],
    ["2040-01-01 12:00+0545", "2040-01-01 06:15:00+00"],
    ["2040-01-01T12:00:00Z", "2040-01-01 12:00:00+00"],
    [new Date(Date.UTC(12345, 0, 1)), "12345-01-01 00:00:00+00"],
  ];
  for (const [time, stored] of written) {
    const scheduleId = await scheduler.schedule(new Ping(1), time);
    const text = "SELECT (execute_at AT TIME ZONE 'UTC')::text || '+00' FROM cmdsched.get($1)";
    assert.deepEqual(await sql(text, scheduleId), [[stored]]);
  }
});

test("data that do not fit hide nothing", async () => {
  const schedule = (data: string, type: string, n: number) =>
    sql(
      "SELECT cmdsched.schedule($1, $2::jsonb, now() - make_interval(secs => $3), schedule_id => $3::text, " +
        "command_module => 'client')",
      type,
      data,
      n,
    );
  await schedule("null", "Ship", 4);
  await schedule("[]", "Ping", 3);
  await schedule('"x"', "Ping", 2);
  await schedule('{"n": 1}', "Ping", 1);
  assert.deepEqual(await scheduler.getDueCommands(), [{ scheduleId: "1", command: new Ping(1) }]);
  assert.equal((await scheduler.get("3"))!.command, null);
  const sent: unknown[] = [];
  const service = new CommandSchedulerService(scheduler, (command) => sent.push(command));
  assert.equal(await service.processDueCommands(), 1);
  assert.deepEqual(sent, [new Ping(1)]);
  for (const scheduleId of ["2", "3", "4"]) {
    assert.match(String((await scheduler.get(scheduleId))!.lastError!["message"]), /^TypeError: /);
  }
});

test("whatever is thrown is noted", async () => {
  const thrown: [unknown, string][] = [
    [new RangeError("a\0b\ud800"), "RangeError: a\uFFFDb\uFFFD"],
    ["a text", "a text"],
    [undefined, "undefined"],
    [Object.create(null), "something that has no text was thrown"],
  ];
  for (const [what, message] of thrown) {
    const scheduleId = await scheduler.schedule(new Ping(1), new Date());
    const service = new CommandSchedulerService(scheduler, () => {
      throw what;
    });
    assert.equal(await service.processDueCommands(), 0);
    assert.equal((await scheduler.get(scheduleId))!.lastError!["message"], message);
    assert.equal(await scheduler.cancel(scheduleId), true);
  }
});

// Pools and clients

test("a scheduler works on whatever is given to it", async () => {
  const pool = new pg.Pool({ user: "client" });
  const onPool = new CommandScheduler(pool, registry);
  await onPool.schedule(new Ping(1), LATER, { scheduleId: "pool" });
  await onPool.close();
  assert.deepEqual((await pool.query("SELECT 1 AS open")).rows, [{ open: 1 }]);
  const client = await pool.connect();
  await client.query("BEGIN");
  await new CommandScheduler(client, registry).schedule(new Ping(1), LATER, { scheduleId: "client" });
  await client.query("ROLLBACK");
  client.release();
  await pool.end();
  const url = `socket:${process.env["PGHOST"]}?db=${process.env["PGDATABASE"]}`;
  process.env["PGUSER"] = "client";
  const onText = new CommandScheduler(url, registry);
  assert.equal((await onText.get("pool"))!.status, "pending");
  assert.equal(await onText.get("client"), null);
  await onText.close();
  delete process.env["PGUSER"];
});

test("a transaction that has lost its connection is an error, and nothing else", async () => {
  const pool = new pg.Pool({ user: "client" });
  const idle = new CommandScheduler(pool, registry, { log: quiet });
  const lost = inTransaction(pool, async (client) => {
    await idle.within(client).schedule(new Ping(1), LATER, { scheduleId: "lost" });
    await loseConnections();
    await sleep(50);
  });
  await assert.rejects(lost);
  assert.equal(await idle.get("lost"), null);
  await pool.end();
});

test("settings of the connection and the driver do not matter", async () => {
  const useless = { getTypeParser: () => () => "useless" };
  const work = async (connection: pg.Client): Promise<void> => {
    await connection.query("SET TimeZone = 'Pacific/Kiritimati'; SET DateStyle = 'German'; SET search_path = client");
    await connection.query("SET IntervalStyle = 'sql_standard'; SET bytea_output = 'escape'");
    const transaction = scheduler.within(connection);
    const scheduleId = await transaction.schedule(new Ping({ a: 1 }), LATER, { metadata: { b: 2 } });
    const scheduled = await transaction.get(scheduleId);
    assert.deepEqual(scheduled!.command, new Ping({ a: 1 }));
    assert.deepEqual(scheduled!.executeAt, LATER);
    assert.deepEqual(scheduled!.metadata, { b: 2 });
    assert.equal(await transaction.cancel(scheduleId), true);
    assert.equal(await transaction.cancel(scheduleId), false);
  };
  await connected("client", work, { types: useless });
});

test("wrong arguments are refused", async () => {
  await connected("client", async (connection) => {
    assert.throws(() => new CommandSchedulerService(scheduler.within(connection), () => 1), /within/);
  });
  for (const options of [{ lease: 0 }, { lease: NaN }, { batchSize: 0 }, { batchSize: 1.5 }]) {
    assert.throws(() => new CommandSchedulerService(scheduler, () => 1, options), RangeError);
  }
  const service = new CommandSchedulerService(scheduler, () => 1);
  for (const pollInterval of [0, -1, NaN]) {
    assert.throws(() => new CommandSchedulerWorker(service, { pollInterval }), RangeError);
  }
});

// Leases

test("who has lost the lease has no effects", async () => {
  let refusal: unknown;
  const service = new CommandSchedulerService(scheduler, async () => {
    const claim = currentClaim();
    assert.deepEqual([claim.attempts, claim.metadata], [1, { reason: "test" }]);
    await sql("SELECT cmdsched.fail($1, $2, 'taken away', '1 hour')", claim.scheduleId, claim.claimToken);
    await connected("client", async (connection) => {
      await connection.query("BEGIN");
      await connection.query("INSERT INTO client.effects VALUES (1)");
      await scheduler.within(connection).complete();
      await connection.query("COMMIT");
    }).catch((error: unknown) => {
      refusal = error;
      throw error;
    });
  });
  const scheduleId = await scheduler.schedule(new Ping(1), new Date(), { metadata: { reason: "test" } });
  assert.equal(await service.processDueCommands(), 0);
  assert.ok(refusal instanceof LeaseLostError);
  assert.deepEqual(await sql("SELECT * FROM client.effects"), []);
  assert.equal((await scheduler.get(scheduleId))!.lastError!["message"], "taken away");
  assert.throws(currentClaim, /no command is being carried out/);
});

test("a process that lives keeps its leases", async () => {
  // The first takes longer than a lease, and the others have to wait for it.
  const sent: unknown[] = [];
  const service = new CommandSchedulerService(
    scheduler,
    async ({ n }: Ping) => {
      sent.push(n);
      if (n === 0) {
        await sleep(3000);
        assert.deepEqual(await sql("SELECT count(*)::integer FROM cmdsched.claim_due_commands(10)"), [[0]]);
      }
    },
    { lease: 2000 },
  );
  for (let n = 0; n < 4; n++) {
    await scheduler.schedule(new Ping(n), secondsAgo(60 - n));
  }
  assert.equal(await service.processDueCommands(), 4);
  assert.deepEqual(sent, [0, 1, 2, 3]);
});

test("what was taken away meanwhile is not sent", async () => {
  const sent: unknown[] = [];
  const service = new CommandSchedulerService(
    scheduler,
    async ({ n }: Ping) => {
      sent.push(n);
      await scheduler.cancel("1");
      await sleep(2500);
    },
    { lease: 3000 },
  );
  for (let n = 0; n < 2; n++) {
    await scheduler.schedule(new Ping(n), secondsAgo(60 - n), { scheduleId: String(n) });
  }
  assert.equal(await service.processDueCommands(), 1);
  assert.deepEqual(sent, [0]);
});

test("connections that were lost meanwhile lose nothing", async () => {
  const service = new CommandSchedulerService(scheduler, loseConnections);
  await scheduler.schedule(new Ping(1), new Date());
  assert.equal(await service.processDueCommands(), 1);
  assert.deepEqual(await sql("SELECT count(*)::integer FROM cmdsched.scheduled_commands"), [[0]]);
});

// Workers

async function running(worker: CommandSchedulerWorker, work: () => Promise<void>): Promise<void> {
  worker.start();
  try {
    await work();
  } finally {
    await worker.stop();
  }
}

test("a worker can be started again", async () => {
  const sent: unknown[] = [];
  const worker = new CommandSchedulerWorker(new CommandSchedulerService(scheduler, ({ n }: Ping) => sent.push(n)));
  for (let n = 0; n < 2; n++) {
    await running(worker, async () => {
      worker.start();
      await scheduler.schedule(new Ping(n), new Date());
      await waitUntil(() => sent.length === n + 1);
    });
  }
  await worker.stop();
  await scheduler.schedule(new Ping(2), new Date());
  assert.equal(await worker.runOnce(), 1);
  assert.deepEqual(sent, [0, 1, 2]);
});

test("a worker that stops finishes what it has", async () => {
  let begun = false;
  let goOn = () => {};
  const ended: unknown[] = [];
  const service = new CommandSchedulerService(scheduler, async ({ n }: Ping) => {
    begun = true;
    await new Promise<void>((resolve) => (goOn = resolve));
    ended.push(n);
  });
  const worker = new CommandSchedulerWorker(service);
  worker.start();
  await scheduler.schedule(new Ping(1), new Date());
  await waitUntil(() => begun);
  const stopping = Promise.all([worker.stop(), worker.stop()]);
  goOn();
  await stopping;
  assert.deepEqual(ended, [1]);
  assert.deepEqual(await sql("SELECT count(*)::integer FROM cmdsched.scheduled_commands"), [[0]]);
});

test("a worker goes on by itself when it has lost its connections", async () => {
  const sent: unknown[] = [];
  const warnings: string[] = [];
  const log = { warn: (message: string) => warnings.push(message) };
  const own = new CommandScheduler({ user: "client" }, registry, { log });
  const worker = new CommandSchedulerWorker(new CommandSchedulerService(own, ({ n }: Ping) => sent.push(n)));
  await running(worker, async () => {
    for (let n = 0; n < 3; n++) {
      await scheduler.schedule(new Ping(n), new Date());
      await waitUntil(() => sent.length === n + 1);
      await waitUntil(async () => {
        const listening = "SELECT 1 FROM pg_stat_activity WHERE usename = 'client' AND query = 'LISTEN cmdsched_due'";
        return (await sql(listening)).length === 1;
      });
      await loseConnections();
      await waitUntil(() => warnings.filter((message) => message.includes("cannot listen")).length === n + 1);
    }
  });
  await own.close();
});

test("a worker that gets no answer can be stopped", async () => {
  const folder = mkdtempSync(join(tmpdir(), "silent"));
  const sockets = new Set<Socket>();
  const server = createServer((socket) => sockets.add(socket)).listen(join(folder, ".s.PGSQL.5432"));
  await once(server, "listening");
  let warnings = 0;
  const silent = new CommandScheduler(
    { user: "client", host: folder, port: 5432, connectionTimeoutMillis: 100 },
    registry,
    { log: { warn: () => warnings++ } },
  );
  await running(new CommandSchedulerWorker(new CommandSchedulerService(silent, () => 1)), async () => {
    await waitUntil(() => warnings >= 3);
  });
  await silent.close();
  sockets.forEach((socket) => socket.destroy());
  server.close();
  rmSync(folder, { recursive: true });
});

test("a worker that hears nothing polls, and can be triggered", async () => {
  // What it hears with is told that nothing here is its own.
  const deaf = new CommandRegistry("client");
  deaf.register(Ping);
  let looks = 0;
  const types = ["Ping"];
  Object.defineProperty(deaf, "commandTypes", {
    get: () => (looks++, Object.assign([...types], { includes: () => false })),
  });
  const own = new CommandScheduler({ user: "client" }, deaf, { log: quiet });
  const sent: unknown[] = [];
  const service = new CommandSchedulerService(own, ({ n }: Ping) => sent.push(n));
  await running(new CommandSchedulerWorker(service, { pollInterval: 100 }), async () => {
    await waitUntil(() => looks > 4);
    await scheduler.schedule(new Ping(1), new Date());
    await waitUntil(() => sent.length === 1);
  });
  const worker = new CommandSchedulerWorker(service, { pollInterval: 3_600_000 });
  await running(worker, async () => {
    looks = 0;
    // At the start, and when it begins to listen.
    await waitUntil(() => looks >= 2);
    await scheduler.schedule(new Ping(2), new Date());
    worker.trigger();
    await waitUntil(() => sent.length === 2);
  });
  await own.close();
});

after(() => asSuperuser("DROP SCHEMA client CASCADE"));
