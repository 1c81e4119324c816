/** The commands of the shared cases, and what is done with them. */
import pg from "pg";
import { CommandRegistry, type CommandScheduler } from "cmdsched";

export const registry = new CommandRegistry("cases");

export class Echo {
  constructor(readonly value: unknown) {}
}

export class Flaky {
  constructor(
    readonly value: number,
    readonly failures: number,
  ) {}
}

export class Pay {
  constructor(
    readonly value: number,
    readonly failures: number,
  ) {}
}

for (const commandClass of [Echo, Flaky, Pay]) {
  registry.register(commandClass);
}

/** What was handled, and how often it was tried. */
export class Handlers {
  readonly handled: [string, object][] = [];
  readonly #attempts = new Map<string, number>();

  async send(command: Echo | Flaky | Pay, scheduler: CommandScheduler): Promise<void> {
    if (command instanceof Pay) {
      await this.#pay(command, scheduler);
      return;
    }
    if (command instanceof Flaky) {
      this.#attempt(command);
    }
    this.#note(command);
  }

  async #pay(command: Pay, scheduler: CommandScheduler): Promise<void> {
    const connection = new pg.Client({ user: "cases" });
    await connection.connect();
    try {
      await connection.query("BEGIN");
      await scheduler.within(connection).complete();
      await connection.query("INSERT INTO cases.effects VALUES ($1)", [command.value]);
      this.#attempt(command);
      this.#note(command);
      await connection.query("COMMIT");
    } finally {
      await connection.end();
    }
  }

  #attempt(command: Flaky | Pay): void {
    const key = `${command.constructor.name} ${command.value}`;
    const attempts = (this.#attempts.get(key) ?? 0) + 1;
    this.#attempts.set(key, attempts);
    if (attempts <= command.failures) {
      throw new Error("this one is flaky");
    }
  }

  #note(command: object): void {
    this.handled.push([command.constructor.name, structuredClone({ ...command })]);
  }
}
