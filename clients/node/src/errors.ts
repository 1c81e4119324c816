/** What the client itself refuses; everything else is an error of the driver. */

/** A time is written without a zone, so it says no moment. */
export class TimeWithoutZoneError extends RangeError {
  override name = "TimeWithoutZoneError";
}

/** A class, or a command type of a module, is not registered. */
export class UnknownCommandError extends Error {
  override name = "UnknownCommandError";
}

/**
 * A command is no longer ours: its lease ended, or it was cancelled.
 *
 * Whoever completes a command in a transaction of its own lets this error roll
 * it back; somebody else carries the command out.
 */
export class LeaseLostError extends Error {
  override name = "LeaseLostError";
}
