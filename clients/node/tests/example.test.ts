/** examples/shop.ts, as a server that somebody orders from. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, test } from "node:test";
import { asSuperuser, client, connected, rowsOf, waitUntil } from "./support.js";

interface Answer {
  status: number;
  body: { [name: string]: unknown };
}

type Call = (method: string, path: string, body?: string) => Promise<Answer>;

before(() => asSuperuser(readFileSync(join(client, "examples", "shop.sql"), "utf8")));

/** Start the shop with the delays that a test asks for, and call it. */
async function inShop(remindAfter: number, cancelAfter: number, use: (call: Call) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "shop"));
  const socket = join(folder, "socket");
  const shop = spawn(process.execPath, [join(client, "build", "examples", "shop.js")], {
    stdio: "ignore",
    env: {
      ...process.env,
      SHOP_DATABASE: `socket:${process.env["PGHOST"]}?db=${process.env["PGDATABASE"]}`,
      PGUSER: "shop_app",
      SHOP_REMIND_AFTER: String(remindAfter),
      SHOP_CANCEL_AFTER: String(cancelAfter),
      PORT: socket,
    },
  });
  const ended = once(shop, "exit");
  const call: Call = (method, path, body) => callSocket(socket, method, path, body);
  try {
    await waitUntil(async () => (await call("GET", "/orders/none").catch(() => null))?.status === 404, "it answers");
    await use(call);
  } finally {
    shop.kill();
    const [status, signal] = (await ended) as [number | null, string | null];
    rmSync(folder, { recursive: true });
    assert.deepEqual([status, signal], [0, null]);
  }
}

async function callSocket(socketPath: string, method: string, path: string, body = ""): Promise<Answer> {
  const sent = request({ socketPath, method, path, agent: false }).end(body);
  const [response] = await once(sent, "response");
  let text = "";
  for await (const part of response) {
    text += part;
  }
  return { status: response.statusCode, body: JSON.parse(text) };
}

async function scheduled(): Promise<unknown[]> {
  return await connected("shop_app", async (connection) =>
    (await rowsOf(connection, "SELECT command_type FROM cmdsched.scheduled_commands ORDER BY command_type")).flat(),
  );
}

test("an order that is paid is not cancelled", async () => {
  await inShop(0.2, 3600, async (call) => {
    const created = await call("POST", "/orders", '{"order_id": "7 ü"}');
    assert.equal(created.status, 200);
    const order = `/orders/${encodeURIComponent("7 ü")}`;
    await waitUntil(async () => (await call("GET", order)).body["reminders"] === 1, "there is a reminder");
    await waitUntil(async () => (await scheduled()).join() === "CancelUnpaidOrder", "only the cancellation is left");
    assert.deepEqual((await call("POST", `${order}/payment`)).body, { withdrawn: true });
    assert.deepEqual((await call("GET", order)).body, {
      order_id: "7 ü",
      status: "paid",
      reminders: 1,
      cancellation_id: created.body["cancellation_id"],
    });
    assert.deepEqual(await scheduled(), []);
    assert.equal((await call("POST", `${order}/payment`)).status, 409);
  });
});

test("an order that nobody pays is cancelled", async () => {
  await inShop(3600, 0.2, async (call) => {
    const { schedule_id } = (await call("POST", "/orders", '{"order_id": "8"}')).body;
    await waitUntil(async () => (await call("GET", "/orders/8")).body["status"] === "cancelled", "it is cancelled");
    assert.deepEqual(await scheduled(), ["SendReminder"]);
    await connected("shop_app", async (connection) => {
      assert.deepEqual(await rowsOf(connection, "SELECT cmdsched.cancel($1)", [schedule_id]), [[true]]);
    });
  });
});

test("an order that is not created is followed by nothing", async () => {
  await inShop(3600, 3600, async (call) => {
    assert.equal((await call("POST", "/orders", '{"order_id": "9"}')).status, 200);
    assert.equal((await scheduled()).length, 2);
    assert.equal((await call("POST", "/orders", '{"order_id": "9"}')).status, 500);
    assert.equal((await call("POST", "/orders", "{}")).status, 400);
    assert.equal((await call("POST", "/orders", "no JSON")).status, 500);
    assert.equal((await scheduled()).length, 2);
  });
});
