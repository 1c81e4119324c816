/** Carrying out what is due. */
import type pg from "pg";
import { carryingOut, type Claim } from "./claims.js";
import { execute, isServerAway } from "./executors.js";
import { Leases } from "./leases.js";
import type { Log } from "./log.js";
import type { CommandRegistry } from "./registry.js";
import type { CommandScheduler } from "./scheduler.js";
import { claimDueCommands, complete, fail, type Statement } from "./statements.js";
import { pause } from "./timing.js";

/** Called with each command; what it returns is awaited.  An error is a failed attempt. */
export type Send = (command: any) => unknown;

export interface ServiceOptions {
  /**
   * How long commands wait for somebody else when this process has died, in
   * milliseconds.  While it lives, it renews the leases of what it has in hand.
   */
  lease?: number | undefined;
  /** How many are claimed at once. */
  batchSize?: number | undefined;
}

/** How many of a batch succeeded, and whether there may be more. */
export interface BatchOutcome {
  readonly succeeded: number;
  readonly more: boolean;
}

/**
 * Carries out due commands by giving them to a mediator.
 *
 * Several may work on the same commands, in any number of processes: each
 * command is claimed by one.  A command whose send fails is tried again after
 * the backoff of its handler, and does not keep the others from being carried
 * out.
 */
export class CommandSchedulerService {
  readonly pool: pg.Pool;
  readonly log: Log;
  readonly registry: CommandRegistry;
  readonly #send: Send;
  readonly #lease: number;
  readonly #batchSize: number;

  /**
   * @param scheduler One on a pool, not one of within().
   * @throws TypeError: The scheduler works in a transaction of the caller's.
   * @throws RangeError: A number is too small.
   */
  constructor(scheduler: CommandScheduler, send: Send, options: ServiceOptions = {}) {
    const { lease = 30_000, batchSize = 10 } = options;
    if (scheduler.pool === null) {
      throw new TypeError("a service needs a scheduler with a pool, not one on a client or of within()");
    }
    if (!(lease >= 1)) {
      throw new RangeError("lease must be at least 1 millisecond");
    }
    if (!Number.isInteger(batchSize) || batchSize < 1) {
      throw new RangeError("batchSize must be a whole number, at least 1");
    }
    this.pool = scheduler.pool;
    this.log = scheduler.log;
    this.registry = scheduler.registry;
    this.#send = send;
    this.#lease = lease;
    this.#batchSize = batchSize;
  }

  /**
   * Carry out all that is due, oldest first.
   *
   * @returns How many succeeded.
   * @throws Error: The server is not there, or does not know cmdsched.
   */
  async processDueCommands(): Promise<number> {
    let total = 0;
    for (let more = true; more;) {
      const outcome = await this.processBatch();
      total += outcome.succeeded;
      more = outcome.more;
    }
    return total;
  }

  /** Carry out a few. */
  async processBatch(): Promise<BatchOutcome> {
    const claims = await execute(this.pool, claimDueCommands(this.registry, this.#batchSize, this.#lease));
    if (claims.length === 0) {
      return { succeeded: 0, more: false };
    }
    const leases = new Leases(this.pool, this.#lease, this.log, claims);
    const succeeded = await leases.keepDuring(() => this.#carryOutAll(claims, leases));
    return { succeeded, more: claims.length === this.#batchSize };
  }

  async #carryOutAll(claims: readonly Claim[], leases: Leases): Promise<number> {
    let succeeded = 0;
    for (const claim of claims) {
      if (leases.has(claim)) {
        succeeded += (await this.#carryOut(claim)) ? 1 : 0;
        leases.letGo(claim);
      }
    }
    return succeeded;
  }

  async #carryOut(claim: Claim): Promise<boolean> {
    try {
      const command = this.registry.load(claim.commandType, claim.commandModule, claim.commandData);
      await carryingOut(claim, async () => await this.#send(command));
    } catch (error) {
      await this.#noteFailure(claim, error);
      return false;
    }
    return claim.completed || (await this.#noteSuccess(claim));
  }

  async #noteSuccess(claim: Claim): Promise<boolean> {
    const isOurs = await this.#settle(complete(claim));
    if (!isOurs) {
      this.log.warn(`cmdsched: ${describe(claim)} took longer than its lease, or was cancelled`, undefined);
    }
    return isOurs;
  }

  async #noteFailure(claim: Claim, error: unknown): Promise<void> {
    this.log.warn(`cmdsched: ${describe(claim)} failed in attempt ${claim.attempts}`, error);
    await this.#settle(fail(claim, reasonOf(error)));
  }

  /** Tell the server, once more while the lease lasts if the connection is lost. */
  async #settle(statement: Statement<boolean>): Promise<boolean> {
    const deadline = performance.now() + this.#lease;
    for (;;) {
      try {
        return await execute(this.pool, statement);
      } catch (error) {
        if (!isServerAway(error) || performance.now() > deadline) {
          throw error;
        }
        await pause(100);
      }
    }
  }
}

function describe(claim: Claim): string {
  return `${claim.commandType} "${claim.scheduleId}"`;
}

/** Anything can be thrown, even what has no text. */
function reasonOf(error: unknown): string {
  try {
    return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  } catch {
    return "something that has no text was thrown";
  }
}
