/** Where statements are executed: in the caller's transaction, or each in one of its own. */
import type { CustomTypesConfig, QueryArrayConfig } from "pg";
import type { Row, Statement } from "./statements.js";

/** What a Client, a PoolClient and a Pool of pg have in common. */
export interface Queryable {
  query(config: QueryArrayConfig): Promise<{ rows: unknown[][] }>;
}

const asText: CustomTypesConfig = {
  getTypeParser: () => (value: unknown) => value,
};

/** Execute a statement. */
export async function execute<T>(where: Queryable, statement: Statement<T>): Promise<T> {
  const result = await where.query({
    text: statement.text,
    values: [...statement.values],
    rowMode: "array",
    types: asText,
  });
  return statement.read(result.rows as unknown as Row[]);
}

/**
 * Tell whether it may go better on another connection: the error is not the
 * server's answer, or it is about the connection or the server's own state.
 */
export function isServerAway(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  const isAnswer = error instanceof Error && "severity" in error;
  return !isAnswer || (typeof code === "string" && /^(08|53|57|58)/.test(code));
}
