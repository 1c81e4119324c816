/** Comparing, as clients/README.md says. */

export type Fields = { [name: string]: unknown };

const COMPARED_AS_A_WHOLE = ["command", "command_data", "metadata"];

export function matches(result: unknown, expected: unknown, whole = false): boolean {
  if (isFields(expected) && "matches" in expected) {
    return typeof result === "string" && new RegExp(String(expected["matches"])).test(result);
  }
  if (isFields(expected) && "$repeat" in expected) {
    return result === unfold(expected);
  }
  if (result instanceof Date) {
    return result.getTime() === new Date(String(expected)).getTime();
  }
  if (Array.isArray(expected)) {
    return (
      Array.isArray(result) &&
      result.length === expected.length &&
      expected.every((item, n) => matches(result[n], item, true))
    );
  }
  if (isFields(expected)) {
    return (
      isFields(result) &&
      (!whole || Object.keys(result).length === Object.keys(expected).length) &&
      Object.entries(expected).every(
        ([name, item]) => name in result && matches(result[name], item, whole || COMPARED_AS_A_WHOLE.includes(name)),
      )
    );
  }
  return result === expected;
}

/** Write {"$repeat": [text, times]} out. */
export function unfold(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map(unfold);
  }
  if (!isFields(value)) {
    return value;
  }
  if ("$repeat" in value) {
    const [text, times] = value["$repeat"] as [string, number];
    return text.repeat(times);
  }
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, unfold(item)]));
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
