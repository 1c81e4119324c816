/** Waiting, in ways that can be ended early. */
import { setTimeout as sleep } from "node:timers/promises";

/** What setTimeout() can do at most. */
const LONGEST = 2 ** 31 - 1;

/** A delay that timers accept. */
export function timerDelay(milliseconds: number): number {
  return Math.min(milliseconds, LONGEST);
}

/** Let time pass, until the signal is aborted. */
export async function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  await sleep(timerDelay(milliseconds), undefined, signal && { signal }).catch(() => undefined);
}

/** Wakes whoever waits for it; what it said while nobody waited is remembered. */
export class WakeUp {
  #isSet = false;
  #wake: (() => void) | null = null;

  set(): void {
    this.#isSet = true;
    this.#wake?.();
  }

  /** Wait until it is set, or for so long; it is no longer set afterwards. */
  async wait(milliseconds: number): Promise<void> {
    if (!this.#isSet) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, timerDelay(milliseconds));
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = null;
    }
    this.#isSet = false;
  }
}
