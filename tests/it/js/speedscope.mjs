// Opens a profile in the speedscope page of the npm package, through its own importer, and has the
// page export what it imported.
// Arguments: node_modules, chromium, the profile, a folder for screenshots or nothing.
// Prints what it saw as JSON.

import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const [modules, chromiumPath, input, pictures] = process.argv.slice(2);
const require = createRequire(path.join(modules, "x.js"));
const { chromium } = require("playwright-core");

// The page loads a script that hands it the file, as the package's own command does it.
const content = readFileSync(input).toString("base64");
const script = `${input}.js`;
writeFileSync(script, `speedscope.loadFileFromBase64(${JSON.stringify(path.basename(input))}, ${JSON.stringify(content)})`);

const args = ["--no-sandbox", "--allow-file-access-from-files", "--use-gl=swiftshader", "--enable-unsafe-swiftshader"];
const browser = await chromium.launch({ executablePath: chromiumPath, args });
const page = await browser.newPage({ viewport: { width: 1200, height: 700 } });
// What the page cannot import it says in a dialog. Exceptions of the page do not count: without a
// graphics card its drawing now and then gives up, which says nothing of the import.
const errors = [];
page.on("dialog", (dialog) => {
  errors.push(dialog.message());
  dialog.dismiss();
});
const index = path.join(modules, "speedscope/dist/release/index.html");
await page.goto(`file://${index}#localProfilePath=${script}`);
await page.waitForFunction(() => /\(\d+\/\d+\)/.test(document.body.innerText), null, { timeout: 15000 }).catch(() => {});
await page.waitForTimeout(300);
if (pictures) {
  await page.screenshot({ path: path.join(pictures, `${path.basename(input)}.png`) });
}
// What it imported, as it writes it itself.
const exported = `${input}.exported`;
const [download] = await Promise.all([page.waitForEvent("download"), page.getByText("Export").click()]);
await download.saveAs(exported);
const shown = await page.evaluate(() => document.body.innerText);
console.log(JSON.stringify({ title: await page.title(), shown, exported, errors }));
await browser.close();
