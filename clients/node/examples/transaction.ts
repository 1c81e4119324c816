/** Transactions on a pool. */
import type pg from "pg";

/** Do some work in a transaction: it commits, or the error rolls it back. */
export async function inTransaction<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  try {
    await client.query("BEGIN");
    const result = await work(client);
    await client.query("COMMIT");
    client.release();
    return result;
  } catch (error) {
    // Closing the connection rolls back, also where it is lost already.
    client.release(true);
    throw error;
  }
}
