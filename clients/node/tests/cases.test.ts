/** The table of behaviour that all clients share: ../../cases.json, explained in ../../README.md. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import { Case, type Step } from "./steps.js";
import { asSuperuser, client, connected } from "./support.js";

interface Table {
  setup: string[];
  cases: { name: string; repeat?: number; steps: Step[] }[];
}

const table = JSON.parse(readFileSync(join(client, "..", "cases.json"), "utf8")) as Table;

before(() => asSuperuser(...table.setup));

for (const { name, repeat = 1, steps } of table.cases) {
  for (let n = 1; n <= repeat; n++) {
    test(n === 1 ? name : `${name} ${n}`, async () => {
      await connected("cases", async (connection) => {
        await connection.query("SELECT cmdsched.cancel(schedule_id) FROM cmdsched.scheduled_commands");
        await connection.query("DELETE FROM cases.effects");
      });
      const running = new Case();
      try {
        for (const step of steps) {
          await running.do(step);
        }
      } finally {
        await running.close();
      }
    });
  }
}
