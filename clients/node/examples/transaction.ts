/** Transactions on a pool. */
import type pg from "pg";

/** Do some work in a transaction: it commits, or the error rolls it back. */
export async function inTransaction<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  // The next query fails anyway; without a listener, a lost connection ends the process.
  const ignore = (): void => undefined;
  client.on("error", ignore);
  let isBroken = true;
  try {
    await client.query("BEGIN");
    const result = await work(client);
    await client.query("COMMIT");
    isBroken = false;
    return result;
  } finally {
    client.off("error", ignore);
    // Closing the connection rolls back, also where it is lost already.
    client.release(isBroken);
  }
}
