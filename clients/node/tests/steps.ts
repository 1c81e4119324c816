/** The steps of the shared cases, as clients/README.md explains them. */
import assert from "node:assert/strict";
import { exec } from "node:child_process";
import { promisify } from "node:util";
import pg from "pg";
import {
  CommandScheduler,
  CommandSchedulerService,
  CommandSchedulerWorker,
  TimeWithoutZoneError,
  type ScheduledCommand,
  type ScheduleOptions,
} from "cmdsched";
import { Echo, Flaky, Handlers, Pay, registry } from "./handlers.js";
import { matches, unfold, type Fields } from "./matches.js";
import { connected, quiet, rowsOf, waitUntil } from "./support.js";

export interface Step {
  do: string;
  expect?: unknown;
  id: string;
  command: [string, Fields];
  at: number | string;
  metadata?: object;
  description?: string;
  on_conflict?: "keep" | "replace" | "error";
  count: number;
  distinct?: number;
  statement: string;
  steps: Step[];
  meanwhile?: Step[];
  end: "commit" | "rollback";
  outcomes: unknown[][];
  until?: Goal;
  within: number;
}

type Goal = { handled: number } | { pending: number };

const CONNECTION = { user: "cases" };

/** A scheduler, a service and a worker on a pool of their own. */
class Application {
  readonly scheduler = new CommandScheduler(CONNECTION, registry, { log: quiet });
  readonly service: CommandSchedulerService;
  readonly worker: CommandSchedulerWorker;

  constructor(handlers: Handlers) {
    this.service = new CommandSchedulerService(this.scheduler, (command) => handlers.send(command, this.scheduler));
    this.worker = new CommandSchedulerWorker(this.service, { pollInterval: 60_000 });
  }
}

/** Carries out the steps of one case. */
export class Case {
  readonly #handlers: Handlers;
  readonly #application: Application;
  #scheduler: CommandScheduler;
  /** Of the transaction that the steps are in. */
  #connection: pg.Client | null = null;

  constructor(handlers = new Handlers()) {
    this.#handlers = handlers;
    this.#application = new Application(handlers);
    this.#scheduler = this.#application.scheduler;
  }

  async close(): Promise<void> {
    await this.#application.scheduler.close();
  }

  /** Do a step; what it gives must be what is expected. */
  async do(step: Step): Promise<unknown> {
    let result: unknown;
    try {
      result = await this.#carryOut(step);
    } catch (error) {
      const expected = step.expect as { error?: string } | null | undefined;
      if (expected?.error === undefined) {
        throw error;
      }
      assert.equal(error instanceof TimeWithoutZoneError ? "naive" : (error as pg.DatabaseError).code, expected.error);
      return undefined;
    }
    if ("expect" in step) {
      assert.ok(matches(result, step.expect), `${JSON.stringify(step)}: ${JSON.stringify(result)}`);
    }
    return result;
  }

  async #carryOut(step: Step): Promise<unknown> {
    switch (step.do) {
      case "schedule":
        return await this.#scheduler.schedule(commandOf(step.command), moment(step.at), optionsOf(step));
      case "schedule_many":
        return await this.#scheduleMany(step);
      case "get":
        return asWritten(await this.#scheduler.get(step.id));
      case "due":
        return (await this.#scheduler.getDueCommands()).map((due) => due.scheduleId);
      case "process":
        return await this.#application.service.processDueCommands();
      case "cancel":
        return await this.#scheduler.cancel(step.id);
      case "delete_executed":
        return await this.#scheduler.deleteExecuted(step.id);
      case "sql":
        return await this.#rowsOf(step.statement);
      case "transaction":
        return await this.#inTransaction(step);
      case "parallel":
        return await this.#inParallel(step);
      case "workers":
        return await this.#withWorkers(step);
      case "wait":
        return await waitUntil(
          async () => matches(asWritten(await this.#scheduler.get(step.id)), step.expect),
          JSON.stringify(step),
          step.within,
        ).then(async () => asWritten(await this.#scheduler.get(step.id)));
      case "wait_handled":
        return await this.#waitFor({ handled: step.count }, step.within);
      case "restart":
        return await promisify(exec)(process.env["CMDSCHED_TEST_RESTART"]!);
      case "handled":
        return this.#handled(step);
      default:
        throw new Error(`there is no step ${step.do}`);
    }
  }

  async #scheduleMany(step: Step): Promise<void> {
    await connected(CONNECTION.user, async (connection) => {
      const scheduler = this.#scheduler.within(connection);
      await connection.query("BEGIN");
      for (let n = 1; n <= step.count; n++) {
        await scheduler.schedule(commandOf(step.command, n), moment(step.at));
      }
      await connection.query("COMMIT");
    });
  }

  async #rowsOf(statement: string): Promise<unknown[][]> {
    if (this.#connection !== null) {
      return await rowsOf(this.#connection, statement);
    }
    return await connected(CONNECTION.user, (connection) => rowsOf(connection, statement));
  }

  async #inTransaction(step: Step): Promise<void> {
    await connected(CONNECTION.user, async (connection) => {
      await connection.query("BEGIN");
      this.#connection = connection;
      this.#scheduler = this.#scheduler.within(connection);
      for (const inner of step.steps) {
        await this.do(inner);
      }
      await connection.query(step.end);
    });
    this.#connection = null;
    this.#scheduler = this.#application.scheduler;
  }

  async #inParallel(step: Step): Promise<void> {
    const cases = step.steps.map(() => new Case(this.#handlers));
    const results = await Promise.all(step.steps.map((inner, n) => cases[n]!.do(inner)));
    await Promise.all(cases.map((one) => one.close()));
    assert.ok(
      step.outcomes.some((outcome) => matches(results, outcome)),
      `${JSON.stringify(step)}: ${JSON.stringify(results)}`,
    );
  }

  async #withWorkers(step: Step): Promise<void> {
    const applications = Array.from({ length: step.count }, () => new Application(this.#handlers));
    applications.forEach((application) => application.worker.start());
    try {
      for (const inner of step.meanwhile ?? []) {
        await this.do(inner);
      }
      if (step.until !== undefined) {
        await this.#waitFor(step.until, step.within);
      }
    } finally {
      await Promise.all(applications.map((application) => application.worker.stop()));
      await Promise.all(applications.map((application) => application.scheduler.close()));
    }
  }

  async #waitFor(goal: Goal, within: number): Promise<void> {
    const isReached = async () => {
      if ("handled" in goal) {
        return this.#handlers.handled.length >= goal.handled;
      }
      const [row] = await this.#rowsOf(
        "SELECT count(*)::integer FROM cmdsched.scheduled_commands " +
          "WHERE status = 'pending' AND command_type IN ('Echo', 'Flaky', 'Pay')",
      );
      return row![0] === goal.pending;
    };
    await waitUntil(isReached, JSON.stringify(goal), within);
  }

  #handled(step: Step): unknown[] {
    const handled = this.#handlers.handled;
    assert.equal(handled.length, step.count ?? handled.length);
    if (step.distinct !== undefined) {
      assert.equal(new Set(handled.map((one) => JSON.stringify(one))).size, step.distinct);
    }
    return handled;
  }
}

function commandOf([type, written]: [string, Fields], n?: number): object {
  const field = (name: string) => (written[name] === "$n" ? n : unfold(written[name]));
  const [value, failures] = [field("value"), field("failures")];
  switch (type) {
    case "Echo":
      return new Echo(value);
    case "Flaky":
      return new Flaky(value as number, failures as number);
    case "Pay":
      return new Pay(value as number, failures as number);
    default:
      throw new Error(`there is no command ${type}`);
  }
}

function moment(at: number | string): Date | string {
  return typeof at === "string" ? at : new Date(Date.now() + at * 1000);
}

function optionsOf(step: Step): ScheduleOptions {
  return {
    metadata: step.metadata,
    description: step.description,
    scheduleId: step.id,
    onConflict: step.on_conflict,
  };
}

function asWritten(scheduled: ScheduledCommand | null): Fields | null {
  return (
    scheduled && {
      schedule_id: scheduled.scheduleId,
      command_type: scheduled.commandType,
      command_module: scheduled.commandModule,
      command: scheduled.command && [scheduled.commandType, { ...scheduled.command }],
      command_data: scheduled.commandData,
      execute_at: scheduled.executeAt,
      status: scheduled.status,
      created_at: scheduled.createdAt,
      metadata: scheduled.metadata,
      description: scheduled.description,
      attempts: scheduled.attempts,
      last_error: scheduled.lastError,
    }
  );
}
