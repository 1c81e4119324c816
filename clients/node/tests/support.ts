/** What the tests share.  PGHOST, PGPORT and PGDATABASE say where the server is. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";

/** clients/node, above the compiled tests. */
export const client = above(dirname(fileURLToPath(import.meta.url)));

function above(folder: string): string {
  return existsSync(join(folder, "package.json")) ? folder : above(dirname(folder));
}

/** Do something on a connection of a role. */
export async function connected<T>(
  user: string,
  work: (connection: pg.Client) => Promise<T>,
  config: pg.ClientConfig = {},
): Promise<T> {
  const connection = new pg.Client({ user, ...config });
  connection.on("error", () => undefined);
  await connection.connect();
  try {
    return await work(connection);
  } finally {
    await connection.end();
  }
}

/** The rows of a statement, as lists. */
export async function rowsOf(connection: pg.Client, text: string, values: unknown[] = []): Promise<unknown[][]> {
  return (await connection.query({ text, values, rowMode: "array" })).rows;
}

export async function asSuperuser(...statements: string[]): Promise<void> {
  await connected("postgres", async (connection) => {
    for (const statement of statements) {
      await connection.query(statement);
    }
  });
}

/** Wait for a condition, so many seconds at most. */
export async function waitUntil(
  condition: () => boolean | Promise<boolean>,
  what: string = String(condition),
  within = 20,
): Promise<void> {
  const deadline = performance.now() + within * 1000;
  while (!(await condition())) {
    assert.ok(performance.now() < deadline, `not within ${within} s: ${what}`);
    await sleep(20);
  }
}

/** Warnings that nobody reads. */
export const quiet = { warn: () => undefined };
