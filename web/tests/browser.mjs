// The browser: pages that fail their test by any error in their console, and what is asked of them.

import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const built = join(dirname(fileURLToPath(import.meta.url)), "../dist/page");
const BROWSER = process.env.CHROMIUM ?? "/usr/bin/chromium";
const ARGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const WAIT_MS = 30_000;
export const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

/** Tries the page of dist/page in place of the one that the program was built with. */
const isBuilt = process.argv.includes("--built");
const shots = process.argv.includes("--shots") ? process.argv[process.argv.indexOf("--shots") + 1] : undefined;

export function launch() {
  return chromium.launch({ executablePath: BROWSER, args: ARGS });
}

export function check(condition, what) {
  if (!condition) throw new Error(what);
}

/** A page that fails its test by any error in its console. */
export async function open(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1360, height: 860 }, acceptDownloads: true, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT_MS);
  page.faults = [];
  page.on("console", (message) => message.type() === "error" && page.faults.push(message.text()));
  page.on("pageerror", (error) => page.faults.push(error.message));
  if (isBuilt) await page.route(/\/(assets\/[^/]+)?$/, serveBuilt);
  return page;
}

function serveBuilt(route) {
  const name = new URL(route.request().url()).pathname.slice(1) || "index.html";
  return route.fulfill({ path: join(built, name) });
}

export const go = (page, url, hash) => page.goto(`${url}/#${hash}`);
export const param = (page, name) => new URLSearchParams(new URL(page.url()).hash.split("?")[1] ?? "").get(name);

/** Faults that axe-core finds grave. Its script runs outside of the page's policy. */
export async function grave(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run({ resultTypes: ["violations"] }));
  const found = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  return found.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => node.html.slice(0, 140)).join(" | ")}`);
}

export async function picture(page, name) {
  if (!shots) return;
  mkdirSync(shots, { recursive: true });
  await page.screenshot({ path: join(shots, `${name}.png`) });
}

/** Shows a view in the light, in the dark and on a phone: there, accessible, and not too wide. */
export function shown(test, name, hash, wanted) {
  for (const colorScheme of ["light", "dark"]) {
    test(`${name} is shown and accessible, ${colorScheme}`, async (browser, url) => {
      const page = await open(browser, { colorScheme });
      await go(page, url, hash());
      await page.locator(wanted).first().waitFor();
      await page.waitForTimeout(400);
      const faults = await grave(page);
      check(faults.length === 0, faults.join("\n"));
      await picture(page, `${name}-${colorScheme}`);
      return page;
    });
  }
  test(`${name} fits a phone`, async (browser, url) => {
    const page = await open(browser, PHONE);
    await go(page, url, hash());
    await page.locator(wanted).first().waitFor();
    await page.waitForTimeout(400);
    const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    check(over <= 0, `the page is ${over} pixels too wide`);
    await picture(page, `${name}-phone`);
    return page;
  });
}
