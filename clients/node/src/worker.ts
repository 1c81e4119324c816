/** Carrying out commands when they become due, in the background. */
import { listen } from "./listener.js";
import type { CommandSchedulerService } from "./service.js";
import { pause, WakeUp } from "./timing.js";

export interface WorkerOptions {
  /** How often to look without being told, in milliseconds. */
  pollInterval?: number | undefined;
}

/** After an error, such as a server that is away. */
const RETRY_DELAY = 500;

/**
 * Calls a service when something is due.
 *
 * The server tells it by NOTIFY cmdsched_due.  Should that not be heard, it
 * looks for itself now and then.  Errors are logged and end nothing: when the
 * server is back, it goes on.
 */
export class CommandSchedulerWorker {
  readonly #service: CommandSchedulerService;
  readonly #pollInterval: number;
  readonly #wake = new WakeUp();
  #stopping = new AbortController();
  #running: Promise<unknown> | null = null;

  /** @throws RangeError: pollInterval is not more than 0. */
  constructor(service: CommandSchedulerService, options: WorkerOptions = {}) {
    const { pollInterval = 60_000 } = options;
    if (!(pollInterval > 0)) {
      throw new RangeError("pollInterval must be more than 0 milliseconds");
    }
    this.#service = service;
    this.#pollInterval = pollInterval;
  }

  /** Begin to work in the background; nothing if it does already. */
  start(): void {
    if (this.#running === null) {
      this.#stopping = new AbortController();
      this.#wake.set();
      this.#running = Promise.all([this.#work(this.#stopping.signal), this.#listen(this.#stopping.signal)]);
    }
  }

  /** End, after the commands that are claimed have been carried out. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#wake.set();
    await this.#running;
    this.#running = null;
  }

  /** Look now. */
  trigger(): void {
    this.#wake.set();
  }

  /** Carry out all that is due, here and now; how many succeeded. */
  async runOnce(): Promise<number> {
    return await this.#service.processDueCommands();
  }

  async #work(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#wake.wait(this.#pollInterval);
      try {
        await this.#process(signal);
      } catch (error) {
        this.#service.log.warn("cmdsched: due commands could not be processed", error);
        await pause(RETRY_DELAY, signal);
        this.#wake.set();
      }
    }
  }

  async #process(signal: AbortSignal): Promise<void> {
    for (let more = true; more && !signal.aborted;) {
      more = (await this.#service.processBatch()).more;
    }
  }

  async #listen(signal: AbortSignal): Promise<void> {
    const ear = {
      listening: () => this.#wake.set(),
      due: (commandType: string) => {
        if (this.#service.registry.commandTypes.includes(commandType)) {
          this.#wake.set();
        }
      },
    };
    await listen(this.#service.pool, ear, this.#service.log, RETRY_DELAY, signal);
  }
}
