/** The quick start of ../README.md gives what it says. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { asSuperuser, client } from "./support.js";

const run = promisify(execFile);

test("quick start", async () => {
  const readme = readFileSync(join(client, "README.md"), "utf8");
  const blocks = [...readme.matchAll(/^```(sql|ts|text)\n(.*?)^```$/gms)].slice(0, 3);
  assert.deepEqual(
    blocks.map((block) => block[1]),
    ["sql", "ts", "text"],
  );
  const [setup, program, output] = blocks.map((block) => block[2]!) as [string, string, string];
  await asSuperuser(setup);

  const folder = join(client, "build", "quick_start");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "app.ts"), program);
  const options = {
    extends: "../../tsconfig.json",
    compilerOptions: { rootDir: ".", outDir: "." },
    files: ["app.ts"],
    include: [],
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(options));
  const compiler = join(client, "node_modules", "typescript", "bin", "tsc");
  const compiled = await run(process.execPath, [compiler, "--project", folder]).catch(
    (error: { stdout: string }) => error,
  );
  assert.equal(compiled.stdout, "");

  const result = await run(process.execPath, [join(folder, "app.js")], { timeout: 60_000 });
  assert.deepEqual([result.stdout, result.stderr], [output, ""]);
});
