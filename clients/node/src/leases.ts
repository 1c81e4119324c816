/** The leases of a batch, renewed while it is carried out. */
import type pg from "pg";
import type { Claim } from "./claims.js";
import { execute } from "./executors.js";
import type { Log } from "./log.js";
import { extendLease } from "./statements.js";
import { timerDelay } from "./timing.js";

/** Claims that this process has in hand: not yet carried out, and still ours as far as we know. */
export class Leases {
  readonly #pool: pg.Pool;
  readonly #lease: number;
  readonly #log: Log;
  readonly #inHand: Set<Claim>;

  constructor(pool: pg.Pool, lease: number, log: Log, claims: readonly Claim[]) {
    this.#pool = pool;
    this.#lease = lease;
    this.#log = log;
    this.#inHand = new Set(claims);
  }

  has(claim: Claim): boolean {
    return this.#inHand.has(claim);
  }

  letGo(claim: Claim): void {
    this.#inHand.delete(claim);
  }

  /** Renew what is in hand, now and then, until the work has ended. */
  async keepDuring<T>(work: () => Promise<T>): Promise<T> {
    let renewing: Promise<void> | null = null;
    const timer = setInterval(
      () => {
        renewing ??= this.#renew().finally(() => (renewing = null));
      },
      timerDelay(this.#lease / 3),
    );
    try {
      return await work();
    } finally {
      clearInterval(timer);
      await renewing;
    }
  }

  async #renew(): Promise<void> {
    for (const claim of [...this.#inHand]) {
      try {
        if (this.has(claim) && !claim.completed && !(await execute(this.#pool, extendLease(claim, this.#lease)))) {
          this.letGo(claim);
        }
      } catch (error) {
        this.#log.warn(`cmdsched: the lease of "${claim.scheduleId}" could not be renewed`, error);
      }
    }
  }
}
