/** Commands and metadata to JSON. */

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/**
 * Write a command, or metadata, as JSON.
 *
 * JSON.stringify() writes some values as null, as {} or not at all: those are
 * refused, so that what comes back is what went.
 *
 * @throws TypeError: JSON has nothing for a value in it, or it refers to itself.
 * @throws RangeError: It has a number or a date that is not valid.
 */
export function dump(value: object): string {
  const text: string | undefined = JSON.stringify(value, refuseWhatWouldBeLost);
  if (text === undefined) {
    throw new TypeError("this cannot be written as JSON");
  }
  return text;
}

function refuseWhatWouldBeLost(this: unknown, name: string, value: unknown): unknown {
  const original = (this as Record<string, unknown>)[name];
  if (original instanceof Date && Number.isNaN(original.getTime())) {
    throw new RangeError(`${JSON.stringify(name)} is an invalid Date`);
  }
  if (typeof value === "number" && !Number.isFinite(value)) {
    throw new RangeError(`${JSON.stringify(name)} is ${value}, which JSON does not have`);
  }
  if (typeof value === "function" || typeof value === "symbol" || value instanceof Map || value instanceof Set) {
    throw new TypeError(`${JSON.stringify(name)} cannot be written as JSON: give its class a toJSON()`);
  }
  return value;
}
