// Opens a flame graph, reads it, searches `malloc`, points at it, zooms and goes back.
// Arguments: node_modules, chromium, the picture, a folder for screenshots or nothing.
// Prints what it saw as JSON.

import { createRequire } from "node:module";
import path from "node:path";

const [modules, chromiumPath, input, pictures] = process.argv.slice(2);
const require = createRequire(path.join(modules, "x.js"));
const { chromium } = require("playwright-core");

const browser = await chromium.launch({ executablePath: chromiumPath, args: ["--no-sandbox"] });
const page = await browser.newPage({ viewport: { width: 1200, height: 420 } });
const errors = [];
page.on("pageerror", (error) => errors.push(String(error.stack ?? error)));
page.on("dialog", (dialog) => dialog.accept("malloc"));
await page.goto(`file://${input}`);
await page.waitForTimeout(300);

const keep = async (name) => {
  if (pictures) {
    await page.screenshot({ path: path.join(pictures, `${path.basename(input)}.${name}.png`) });
  }
};
const text = (selector) => page.evaluate((s) => document.querySelector(s)?.textContent ?? "", selector);
const boxes = () =>
  page.evaluate(() =>
    [...document.querySelectorAll("#frames > g")].map((group) => ({
      name: group.querySelector("title").textContent.replace(/ \([^(]*\)$/, ""),
      fill: group.querySelector("rect").getAttribute("fill"),
      width: group.querySelector("rect").getBoundingClientRect().width,
      hidden: group.classList.contains("hide"),
    })),
  );

const seen = { title: await text("#title"), subtitle: await text("#subtitle") };
seen.legend = await page.evaluate(() =>
  [...document.querySelectorAll("#legend text")].map((entry) => entry.textContent),
);
const widestOf = (list) => Math.max(...list.map((box) => box.width));
const before = await boxes();
seen.colors = Object.fromEntries(before.map((box) => [box.name, box.fill]));
await keep("plain");

await page.evaluate(() => document.querySelector("#search").dispatchEvent(new MouseEvent("click", { bubbles: true })));
seen.matched = await text("#matched");
seen.highlighted = (await boxes()).filter((box) => box.fill === "rgb(230,0,230)").length;
await keep("searched");
await page.evaluate(() => document.querySelector("#search").dispatchEvent(new MouseEvent("click", { bubbles: true })));

// Of several, the widest.
const widest = before
  .map((box, place) => ({ ...box, place }))
  .filter((box) => box.name.includes("malloc"))
  .sort((a, b) => b.width - a.width)[0];
const target = page.locator("#frames > g").nth(widest.place).locator("rect");
await target.hover();
seen.details = await text("#details");
await target.click();
await page.waitForTimeout(100);
const zoomed = (await boxes())[widest.place];
seen.zoomed_fills_the_width = Math.abs(zoomed.width - widestOf(await boxes())) < 1 && zoomed.width > widest.width;
await keep("zoomed");
await page.locator("#unzoom").click();
await page.waitForTimeout(100);
const after = await boxes();
seen.unzoomed_is_as_before = after.every((box, place) => Math.abs(box.width - before[place].width) < 1 && !box.hidden);
seen.hacked = await page.evaluate(() => window.hacked !== undefined);
seen.errors = errors;
console.log(JSON.stringify(seen));
await browser.close();
