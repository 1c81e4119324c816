/** Gives each command to the handler of its class. */

type Handler<T> = (command: T) => Promise<void>;
type CommandClass<T> = new (...fields: never[]) => T;

export class Mediator {
  readonly #handlers = new Map<unknown, Handler<never>>();

  /** Make a function the handler of a class. */
  handle<T extends object>(commandClass: CommandClass<T>, handler: Handler<T>): void {
    this.#handlers.set(commandClass, handler);
  }

  /** Call the handler. */
  async send(command: object): Promise<void> {
    const handler = this.#handlers.get(command.constructor);
    if (handler === undefined) {
      throw new Error(`nobody handles ${command.constructor.name}`);
    }
    await handler(command as never);
  }
}
