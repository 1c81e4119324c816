/** A command that is being carried out, and which one it is. */
import { AsyncLocalStorage } from "node:async_hooks";
import type { Json } from "./json.js";

/** A command that this process has until the lease ends. */
export interface Claim {
  readonly scheduleId: string;
  readonly commandType: string;
  readonly commandModule: string;
  /** What it was scheduled with, in JSON. */
  readonly commandData: string;
  readonly metadata: { [name: string]: Json } | null;
  /** Which attempt this is, from 1. */
  readonly attempts: number;
  /** Proves the claim. */
  readonly claimToken: string;
  /** complete() has been called for it. */
  completed: boolean;
}

const current = new AsyncLocalStorage<Claim>();

/**
 * The claim of the command that is being sent.
 *
 * @throws Error: No service is sending a command in this context.
 */
export function currentClaim(): Claim {
  const claim = current.getStore();
  if (claim === undefined) {
    throw new Error("no command is being carried out here: only what a service sends has a claim");
  }
  return claim;
}

/** Do something with the claim as the current one. */
export function carryingOut<T>(claim: Claim, work: () => T): T {
  return current.run(claim, work);
}
