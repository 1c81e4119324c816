/** Hearing the server say that something is due. */
import pg from "pg";
import type { Log } from "./log.js";
import { pause } from "./timing.js";

export interface Ear {
  /** Called when it begins to listen: what became due before was told to nobody. */
  listening(): void;
  /** Called with the command type of what is due. */
  due(commandType: string): void;
}

/**
 * Listen until the signal is aborted, on a connection beside the pool's.
 *
 * A connection that is lost, or cannot be had, is made again after a while.
 */
export async function listen(
  pool: pg.Pool,
  ear: Ear,
  log: Log,
  retryDelay: number,
  signal: AbortSignal,
): Promise<void> {
  let isSilent = false;
  while (!signal.aborted) {
    try {
      await listenOnce(pool, signal, {
        listening() {
          isSilent = false;
          ear.listening();
        },
        due: (commandType) => ear.due(commandType),
      });
    } catch (error) {
      if (!isSilent) {
        log.warn("cmdsched: cannot listen for due commands, will try again", error);
      }
      isSilent = true;
    }
    await pause(retryDelay, signal);
  }
}

async function listenOnce(pool: pg.Pool, signal: AbortSignal, ear: Ear): Promise<void> {
  // As the pool itself makes them; a copy would lack the password, which it hides.
  const client = new pg.Client((pool as unknown as { options: pg.PoolConfig }).options);
  let abort = (): void => undefined;
  const aborted = new Promise<void>((resolve) => (abort = resolve));
  signal.addEventListener("abort", abort);
  const lost = new Promise<void>((_, reject) => {
    client.on("error", reject);
    client.on("end", () => reject(new Error("the connection has ended")));
  });
  client.on("notification", (notification) => ear.due(notification.payload ?? ""));
  const listening = client
    .connect()
    .then(() => client.query("LISTEN cmdsched_due"))
    .then(() => ear.listening());
  // Whichever is not the first to fail.
  lost.catch(() => undefined);
  listening.catch(() => undefined);
  try {
    await Promise.race([listening.then(() => lost), lost, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
    const farewell = new AbortController();
    const ended = client.end().catch(() => undefined);
    // Where nobody is at the other end, it takes for ever.
    await Promise.race([ended, pause(1000, farewell.signal)]);
    farewell.abort();
  }
}
