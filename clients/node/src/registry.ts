/** Which classes commands are, under which names. */
import { UnknownCommandError } from "./errors.js";
import type { Json } from "./json.js";

/**
 * A class of commands.
 *
 * Fields of its objects are what JSON has.  A class with others, such as a
 * Date, has a static fromJSON(), which makes an object of what toJSON() or
 * JSON.stringify() wrote.
 */
export interface CommandClass<T extends object = object> {
  readonly name: string;
  readonly prototype: T;
  fromJSON?(data: never): T;
}

export interface RegisterOptions {
  /** Name space of the type; by default that of the registry. */
  module?: string | undefined;
  /** By default the name of the class. */
  type?: string | undefined;
}

interface CommandName {
  readonly type: string;
  readonly module: string;
}

/** The commands that an application knows. */
export class CommandRegistry {
  readonly #module: string;
  readonly #classes = new Map<string, CommandClass>();
  readonly #names = new Map<CommandClass, CommandName>();

  /** @param module Name space of the types of this registry. */
  constructor(module = "") {
    this.#module = module;
  }

  /**
   * Register a class, and return it.
   *
   * @throws TypeError: It is not a class, or has no name.
   * @throws RangeError: Another class, or this one under another name, is registered already.
   */
  register<C extends CommandClass>(commandClass: C, options: RegisterOptions = {}): C {
    const name = { type: options.type ?? commandClass.name, module: options.module ?? this.#module };
    if (typeof (commandClass as unknown) !== "function" || !commandClass.prototype || name.type === "") {
      throw new TypeError("only a class with a name, or with a type given, can be registered");
    }
    const known = this.#names.get(commandClass) ?? name;
    const holder = this.#classes.get(key(name)) ?? commandClass;
    if (holder !== commandClass || key(known) !== key(name)) {
      throw new RangeError(`${name.type} of "${name.module}" or its class is registered otherwise already`);
    }
    this.#classes.set(key(name), commandClass);
    this.#names.set(commandClass, name);
    return commandClass;
  }

  /** The registered types, without their modules. */
  get commandTypes(): string[] {
    return [...new Set([...this.#names.values()].map((name) => name.type))].sort();
  }

  /**
   * Type and module of a command.
   *
   * @throws UnknownCommandError: Its class is not registered.
   */
  nameOf(command: object): CommandName {
    // Not command.constructor, which a field may hide.
    const commandClass = Object.getPrototypeOf(command)?.constructor as CommandClass;
    const name = this.#names.get(commandClass);
    if (name === undefined) {
      throw new UnknownCommandError(`the class ${commandClass?.name} is not registered: use registry.register()`);
    }
    return name;
  }

  /** Tell whether a class is registered for the type. */
  knows(type: string, module: string): boolean {
    return this.#classes.has(key({ type, module }));
  }

  /**
   * Make a command again, of its fields in JSON.
   *
   * @throws UnknownCommandError: No class is registered for the type.
   * @throws TypeError: The JSON is not an object; or whatever fromJSON() throws.
   */
  load(type: string, module: string, text: string): object {
    const commandClass = this.#classes.get(key({ type, module }));
    if (commandClass === undefined) {
      throw new UnknownCommandError(`no class is registered for ${type} of "${module}"`);
    }
    const data = JSON.parse(text) as Json;
    if (commandClass.fromJSON !== undefined) {
      return commandClass.fromJSON(data as never);
    }
    if (typeof data !== "object" || data === null || Array.isArray(data)) {
      throw new TypeError(`the fields of ${type} are not an object`);
    }
    // Not assigned: "__proto__" is a field like others here.
    return Object.create(commandClass.prototype, Object.getOwnPropertyDescriptors(data)) as object;
  }
}

function key(name: CommandName): string {
  return JSON.stringify([name.type, name.module]);
}
