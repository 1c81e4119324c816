/** Schedule commands in PostgreSQL and carry them out in your application. */
export { currentClaim, type Claim } from "./claims.js";
export { LeaseLostError, TimeWithoutZoneError, UnknownCommandError } from "./errors.js";
export type { Queryable } from "./executors.js";
export type { Json } from "./json.js";
export type { Log } from "./log.js";
export { CommandRegistry, type CommandClass, type RegisterOptions } from "./registry.js";
export { CommandScheduler, type SchedulerOptions } from "./scheduler.js";
export { CommandSchedulerService, type BatchOutcome, type Send, type ServiceOptions } from "./service.js";
export type { DueCommand, Metadata, OnConflict, ScheduledCommand, ScheduleOptions } from "./statements.js";
export { CommandSchedulerWorker, type WorkerOptions } from "./worker.js";
