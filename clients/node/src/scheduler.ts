/** Scheduling, and what else can be done with one command. */
import pg from "pg";
import { currentClaim, type Claim } from "./claims.js";
import { LeaseLostError } from "./errors.js";
import { execute, type Queryable } from "./executors.js";
import type { Log } from "./log.js";
import type { CommandRegistry } from "./registry.js";
import * as statements from "./statements.js";
import type { DueCommand, ScheduledCommand, ScheduleOptions } from "./statements.js";

export interface SchedulerOptions {
  /** Where warnings go; by default to the console. */
  log?: Log | undefined;
}

/**
 * Schedules commands of a registry.
 *
 * On a pool each call is a transaction of its own.  On a client it works in
 * the caller's transaction, as does what within() returns: it never begins,
 * commits or rolls back.
 */
export class CommandScheduler {
  readonly registry: CommandRegistry;
  readonly log: Log;
  /** Null where it works in a transaction of the caller's. */
  readonly pool: pg.Pool | null;
  readonly #where: Queryable;
  readonly #poolIsOurs: boolean;

  /**
   * @param connection How to connect, as for a pool of pg; or a pool, which remains the caller's; or a client.
   * @param registry The commands that it knows.
   */
  constructor(
    connection: string | pg.PoolConfig | pg.Pool | Queryable,
    registry: CommandRegistry,
    options: SchedulerOptions = {},
  ) {
    this.registry = registry;
    this.log = options.log ?? console;
    this.#poolIsOurs = !isQueryable(connection);
    this.#where = isQueryable(connection) ? connection : new pg.Pool(poolConfig(connection));
    this.pool = isPool(this.#where) ? this.#where : null;
    // Without a listener, an idle connection that is lost ends the process.
    if (this.pool?.listenerCount("error") === 0) {
      this.pool.on("error", () => undefined);
    }
  }

  /** A scheduler of the same registry that works in the transaction of a client. */
  within(client: Queryable): CommandScheduler {
    return new CommandScheduler(client, this.registry, { log: this.log });
  }

  /**
   * Schedule a command.
   *
   * @param command An object of a registered class.
   * @param executeAt When; the past means now.  A text must have a zone.
   * @returns The scheduleId.
   * @throws TimeWithoutZoneError, UnknownCommandError
   * @throws RangeError, TypeError: The time is none, or something cannot be written as JSON.
   */
  async schedule(command: object, executeAt: Date | string, options: ScheduleOptions = {}): Promise<string> {
    return await execute(this.#where, statements.schedule(this.registry, command, executeAt, options));
  }

  /** A command that is waiting, held or failed; null where there is none. */
  async get(scheduleId: string): Promise<ScheduledCommand | null> {
    return await execute(this.#where, statements.get(this.registry, this.log, scheduleId));
  }

  /**
   * All that is due and known, oldest first.
   *
   * A plain read: nobody is kept from carrying them out.  A service claims instead.
   */
  async getDueCommands(): Promise<DueCommand[]> {
    return await execute(this.#where, statements.getDueCommands(this.registry, this.log));
  }

  /** Remove a command that was carried out after getDueCommands(); no error if it is gone. */
  async deleteExecuted(scheduleId: string): Promise<void> {
    await execute(this.#where, statements.deleteExecuted(scheduleId));
  }

  /** Cancel a command: true if it was waiting and will never run, false if it was not found or has run. */
  async cancel(scheduleId: string): Promise<boolean> {
    return await execute(this.#where, statements.cancel(scheduleId));
  }

  /**
   * Complete the command that is being carried out, in this scheduler's transaction.
   *
   * In a transaction of the handler's own, its effects are made exactly once.
   *
   * @param claim Which one; by default the current one.
   * @throws LeaseLostError: It is no longer ours.  Let this roll the transaction back.
   */
  async complete(claim: Claim = currentClaim()): Promise<void> {
    // From before, since renewing the lease would wait for the end of this transaction.
    claim.completed = true;
    try {
      if (!(await execute(this.#where, statements.complete(claim)))) {
        throw new LeaseLostError(`the lease of "${claim.scheduleId}" has ended, or it was cancelled`);
      }
    } catch (error) {
      claim.completed = false;
      throw error;
    }
  }

  /** End the pool, unless it is the caller's. */
  async close(): Promise<void> {
    if (this.#poolIsOurs) {
      await this.pool?.end();
    }
  }
}

function isQueryable(connection: string | pg.PoolConfig | pg.Pool | Queryable): connection is pg.Pool | Queryable {
  return typeof connection === "object" && "query" in connection && typeof connection.query === "function";
}

function isPool(where: Queryable): where is pg.Pool {
  return "totalCount" in where;
}

function poolConfig(connection: string | pg.PoolConfig): pg.PoolConfig {
  return typeof connection === "string" ? { connectionString: connection } : connection;
}
