/**
 * The SQL functions that the client calls, and what their rows become.
 *
 * A statement says what to execute and how to read the answer; executors.ts
 * executes it.  All values are text in both directions, so that no setting of
 * the driver or the connection matters.
 */
import type { Claim } from "./claims.js";
import { dump, type Json } from "./json.js";
import type { Log } from "./log.js";
import { writeMoment } from "./moment.js";
import type { CommandRegistry } from "./registry.js";

export type Row = readonly (string | null)[];
export type OnConflict = "keep" | "replace" | "error";
export type Metadata = { [name: string]: Json };

/** SQL with its parameters, and what makes a T of its rows. */
export interface Statement<T> {
  readonly text: string;
  readonly values: readonly (string | null | string[])[];
  read(rows: readonly Row[]): T;
}

export interface ScheduleOptions {
  /** Context, such as a correlation id or a reason. */
  metadata?: object | null | undefined;
  /** A text for people, kept in the metadata. */
  description?: string | null | undefined;
  /** An id of one's own, which makes scheduling idempotent. */
  scheduleId?: string | null | undefined;
  /**
   * What to do if this scheduleId is waiting: keep leaves it as it is, replace
   * takes the new command and time, error is SQLSTATE 23505.
   */
  onConflict?: OnConflict | undefined;
}

/** A command that is still to be done, or needs attention. */
export interface ScheduledCommand {
  readonly scheduleId: string;
  readonly commandType: string;
  readonly commandModule: string;
  /** The command itself; null where its type is not registered or its data do not fit the class. */
  readonly command: object | null;
  /** Its fields, as they are in the database. */
  readonly commandData: Json;
  /** When the next attempt is due; while it is claimed, the end of the lease. */
  readonly executeAt: Date;
  readonly status: "pending" | "held" | "failed";
  readonly createdAt: Date;
  readonly metadata: Metadata | null;
  /** What schedule() was given as description. */
  readonly description: string | null;
  /** Attempts so far, with the one that is being made. */
  readonly attempts: number;
  /** Why the last attempt failed: sqlstate, message and others. */
  readonly lastError: { [name: string]: Json } | null;
}

/** A command that is due. */
export interface DueCommand {
  readonly scheduleId: string;
  readonly command: object;
}

/** schedule() of the extension. */
export function schedule(
  registry: CommandRegistry,
  command: object,
  executeAt: Date | string,
  options: ScheduleOptions,
): Statement<string> {
  const { type, module } = registry.nameOf(command);
  const { metadata, description, scheduleId, onConflict } = options;
  const context = description == null ? metadata : { ...metadata, description };
  return {
    text: `
      SELECT cmdsched.schedule(
             $1::text, $2::jsonb, $3::timestamptz, metadata => $4::jsonb, schedule_id => $5::text,
             command_module => $6::text, on_conflict => $7::text)`,
    values: [
      type,
      dump(command),
      writeMoment(executeAt),
      context == null ? null : dump(context),
      scheduleId ?? null,
      module,
      onConflict ?? "keep",
    ],
    read: (rows) => first(rows)!,
  };
}

/** get() of the extension. */
export function get(registry: CommandRegistry, log: Log, scheduleId: string): Statement<ScheduledCommand | null> {
  return {
    text: `
      SELECT schedule_id, command_type, command_module, command_data,
             pg_catalog.to_json(execute_at) #>> '{}', status, pg_catalog.to_json(created_at) #>> '{}',
             metadata, attempts, last_error
        FROM cmdsched.get($1::text)
       WHERE schedule_id IS NOT NULL`,
    values: [scheduleId],
    read: (rows) => (rows[0] === undefined ? null : scheduledCommand(registry, log, rows[0])),
  };
}

function scheduledCommand(registry: CommandRegistry, log: Log, row: Row): ScheduledCommand {
  const [scheduleId, type, module, data, executeAt, status, createdAt, metadata, attempts, lastError] = row;
  const context = json(metadata!) as Metadata | null;
  return {
    scheduleId: scheduleId!,
    commandType: type!,
    commandModule: module!,
    command: commandOrNull(registry, log, row),
    commandData: json(data!),
    executeAt: new Date(executeAt!),
    status: status as ScheduledCommand["status"],
    createdAt: new Date(createdAt!),
    metadata: context,
    description: (context?.["description"] as string | undefined) ?? null,
    attempts: Number(attempts),
    lastError: json(lastError!) as ScheduledCommand["lastError"],
  };
}

/** get_due_commands() of the extension, without what the registry does not know. */
export function getDueCommands(registry: CommandRegistry, log: Log): Statement<DueCommand[]> {
  return {
    text: `
      SELECT schedule_id, command_type, command_module, command_data
        FROM cmdsched.get_due_commands()
       WHERE command_type = ANY ($1::text[])
       ORDER BY execute_at, schedule_id`,
    values: [registry.commandTypes],
    read: (rows) =>
      rows.flatMap((row) => {
        const command = commandOrNull(registry, log, row);
        return command === null ? [] : [{ scheduleId: row[0]!, command }];
      }),
  };
}

/** Make the command again; null where that cannot be done, so that one does not hide the others. */
function commandOrNull(registry: CommandRegistry, log: Log, row: Row): object | null {
  const [scheduleId, type, module, data] = row;
  if (!registry.knows(type!, module!)) {
    return null;
  }
  try {
    return registry.load(type!, module!, data!);
  } catch (error) {
    log.warn(`cmdsched: command "${scheduleId}" does not fit the class of ${type}`, error);
    return null;
  }
}

/** delete_executed() of the extension. */
export function deleteExecuted(scheduleId: string): Statement<void> {
  return { text: "SELECT cmdsched.delete_executed($1::text)", values: [scheduleId], read: () => undefined };
}

/** cancel() of the extension. */
export function cancel(scheduleId: string): Statement<boolean> {
  return { text: "SELECT cmdsched.cancel($1::text)", values: [scheduleId], read: isTrue };
}

/** claim_due_commands() of the extension, for the types that the registry knows. */
export function claimDueCommands(registry: CommandRegistry, maxCommands: number, lease: number): Statement<Claim[]> {
  return {
    text: `
      SELECT schedule_id, command_type, command_module, command_data, metadata, attempts, claim_token
        FROM cmdsched.claim_due_commands($1::integer, $2::text[], $3::interval)`,
    values: [String(maxCommands), registry.commandTypes, milliseconds(lease)],
    read: (rows) =>
      rows.map(([scheduleId, type, module, data, metadata, attempts, token]) => ({
        scheduleId: scheduleId!,
        commandType: type!,
        commandModule: module!,
        commandData: data!,
        metadata: json(metadata!) as Metadata | null,
        attempts: Number(attempts),
        claimToken: token!,
        completed: false,
      })),
  };
}

/** complete() of the extension: false where the claim is no longer valid. */
export function complete(claim: Claim): Statement<boolean> {
  return {
    text: "SELECT cmdsched.complete($1::text, $2::uuid)",
    values: [claim.scheduleId, claim.claimToken],
    read: isTrue,
  };
}

/** fail() of the extension: false where the claim is no longer valid. */
export function fail(claim: Claim, reason: string): Statement<boolean> {
  return {
    text: "SELECT cmdsched.fail($1::text, $2::uuid, $3::text)",
    // Not everything that an error says can be stored.
    values: [claim.scheduleId, claim.claimToken, reason.replaceAll("\0", "\uFFFD")],
    read: isTrue,
  };
}

/** extend_lease() of the extension: false where the claim is no longer valid. */
export function extendLease(claim: Claim, lease: number): Statement<boolean> {
  return {
    text: "SELECT cmdsched.extend_lease($1::text, $2::uuid, $3::interval)",
    values: [claim.scheduleId, claim.claimToken, milliseconds(lease)],
    read: isTrue,
  };
}

function first(rows: readonly Row[]): string | null {
  return rows[0]?.[0] ?? null;
}

function isTrue(rows: readonly Row[]): boolean {
  return first(rows) === "t";
}

function json(text: string | null): Json {
  return text === null ? null : (JSON.parse(text) as Json);
}

function milliseconds(span: number): string {
  return `${Math.round(span)} milliseconds`;
}
