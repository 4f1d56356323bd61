// Opens every view in a real browser, on real data, and looks at what is there. `--shots FOLDER` keeps
// pictures, `--built` takes the page from dist/page, `ONLY=pattern` chooses tests. The figures at the end
// are those of docs/benchmarks.md.

import { check, launch } from "./browser.mjs";
import { host } from "./host.mjs";
import { lately } from "./lately.mjs";
import { fill, start } from "./service.mjs";
import { figures, speed } from "./speed.mjs";
import { tables } from "./tables.mjs";
import { views } from "./views.mjs";

const only = process.env.ONLY;
const tests = [];
const test = (name, run) => tests.push({ name, run });

views(test);
lately(test);
speed(test);
if (process.getuid() === 0) tables(test);
else console.log("SKIPPED: the tables of what this host does need root");

const chosen = tests.filter((each) => !only || new RegExp(only).test(each.name));
const { url, stop } = await start();
let failed = 0;
try {
  await fill(url);
  const browser = await launch();
  try {
    for (const { name, run } of chosen) {
      try {
        const began = Date.now();
        const page = await run(browser, url);
        check(page.faults.length === 0, `errors in the console: ${page.faults.join("\n")}`);
        await page.context().close();
        console.log(`ok      ${name} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
      } catch (error) {
        failed++;
        console.log(`FAILED  ${name}\n${String(error.message).replace(/^/gm, "        ")}`);
      }
    }
  } finally {
    await browser.close();
  }
} finally {
  await host.stop();
  await stop();
}
console.log(JSON.stringify(figures));
console.log(`${chosen.length - failed} passed, ${failed} failed`);
process.exitCode = failed ? 1 : 0;
