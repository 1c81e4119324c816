/** Moments: a Date, or a text with its zone. */
import { TimeWithoutZoneError } from "./errors.js";

const DATE_AND_TIME = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?/;
const ZONE = /^(?:Z|[+-]\d\d(?::?\d\d)?)$/i;

/**
 * Write a moment as PostgreSQL reads it, whatever the session's settings are.
 *
 * @throws TimeWithoutZoneError: It is a text without a zone.
 * @throws RangeError: It is an invalid Date, or not a time at all.
 */
export function writeMoment(moment: Date | string): string {
  if (typeof moment !== "string") {
    // Years beyond 9999 are written +012345.
    return moment.toISOString().replace(/^\+0*/, "");
  }
  const written = DATE_AND_TIME.exec(moment)?.[0];
  const zone = moment.slice(written?.length);
  if (written === undefined || (zone !== "" && !ZONE.test(zone))) {
    throw new RangeError(`executeAt is not a time in ISO 8601: ${JSON.stringify(moment)}`);
  }
  if (zone === "" || written.length <= "2040-01-01".length) {
    throw new TimeWithoutZoneError(
      `executeAt has no time zone: ${JSON.stringify(moment)}; give a Date, or end it in Z or an offset such as +02:00`,
    );
  }
  return moment;
}
