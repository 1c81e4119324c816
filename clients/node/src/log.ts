/** Where the client tells what went wrong without ending anything; console is one. */
export interface Log {
  warn(message: string, error: unknown): void;
}
