// Opens every view in a real browser, on real data, and looks at what is there. `--shots FOLDER` keeps
// pictures; the figures at the end are those of docs/benchmarks.md.

import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { fill, grow, start } from "./service.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
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
/** Most bytes of the first view on the wire. */
const FIRST_VIEW_SIZE_BYTES_MAX = 200 * 1024;
/** Longest frame while a flame graph of 100,000 nodes is zoomed. */
const FRAME_MS_MAX = 50;
const WAIT_MS = 30_000;

const shots = process.argv.includes("--shots") ? process.argv[process.argv.indexOf("--shots") + 1] : undefined;
const only = process.env.ONLY;
const tests = [];
const test = (name, run) => tests.push({ name, run });

function check(condition, what) {
  if (!condition) throw new Error(what);
}

/** A page that fails its test by any error in its console. */
async function open(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1360, height: 860 }, acceptDownloads: true, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT_MS);
  page.faults = [];
  page.on("console", (message) => message.type() === "error" && page.faults.push(message.text()));
  page.on("pageerror", (error) => page.faults.push(error.message));
  return page;
}

const go = (page, url, hash) => page.goto(`${url}/#${hash}`);
const param = (page, name) => new URLSearchParams(new URL(page.url()).hash.split("?")[1] ?? "").get(name);

/** Faults that axe-core finds grave. Its script runs outside of the page's policy. */
async function grave(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run({ resultTypes: ["violations"] }));
  const found = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  return found.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => node.html.slice(0, 140)).join(" | ")}`);
}

async function picture(page, name) {
  if (!shots) return;
  mkdirSync(shots, { recursive: true });
  await page.screenshot({ path: join(shots, `${name}.png`) });
}

const VIEWS = [
  ["overview", "/overview", ".overview .shares li"],
  ["flame", "/flame?by=comm", ".flame canvas"],
  ["top", "/top", "tbody tr"],
  ["compare", "/diff?q=%7Bhost%3D%22web-1%22%7D&base=same&bq=%7Bhost%3D%22web-2%22%7D", ".flame canvas"],
  ["function", "/function?fn=_PyEval_EvalFrameDefault", ".signal"],
  ["tables", "/tables", "tbody tr"],
  ["alerts", "/alerts", "main"],
  ["hosts", "/hosts", "tbody tr"],
];

for (const [name, hash, wanted] of VIEWS) {
  for (const colorScheme of ["light", "dark"]) {
    test(`${name} is shown and accessible, ${colorScheme}`, async (browser, url) => {
      const page = await open(browser, { colorScheme });
      await go(page, url, hash);
      await page.locator(wanted).first().waitFor();
      await page.waitForTimeout(400);
      const faults = await grave(page);
      check(faults.length === 0, faults.join("\n"));
      await picture(page, `${name}-${colorScheme}`);
      return page;
    });
  }
  test(`${name} fits a phone`, async (browser, url) => {
    const page = await open(browser, { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
    await go(page, url, hash);
    await page.locator(wanted).first().waitFor();
    await page.waitForTimeout(400);
    const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    check(over <= 0, `the page is ${over} pixels too wide`);
    await picture(page, `${name}-phone`);
    return page;
  });
}

test("a search says what share it matched, and a link restores it", async (browser, url) => {
  const page = await open(browser);
  await go(page, url, "/flame");
  await page.getByLabel("Search functions, files and modules").fill("PyEval");
  const text = await page.locator(".matched").textContent();
  check(/^\d.*% in \d+ frames$/.test(text), text);
  await page.reload();
  check((await page.locator(".matched").textContent()) === text, "another share after the page was loaded again");
  check((await page.getByLabel("Search functions, files and modules").inputValue()) === "PyEval", "the search is gone");
  return page;
});

test("a click zooms, the link holds it, Reset and the history undo it", async (browser, url) => {
  const page = await open(browser);
  await go(page, url, "/flame");
  const canvas = page.locator(".flame canvas");
  await canvas.waitFor();
  await page.waitForTimeout(300);
  await canvas.click({ position: { x: 500, y: 70 } });
  await page.waitForTimeout(400);
  const zoomed = param(page, "zoom");
  check(zoomed?.includes("|"), `zoom is ${zoomed}`);
  check((await page.locator(".chosen code").textContent()) === zoomed.split("|").pop(), "another frame is chosen");
  await page.goBack();
  check(param(page, "zoom") === null, "still zoomed after going back");
  await page.goForward();
  await page.getByRole("button", { name: "Reset" }).click();
  check(param(page, "zoom") === null, "still zoomed after Reset");
  return page;
});

test("keys walk, zoom and show all", async (browser, url) => {
  const page = await open(browser);
  await go(page, url, "/flame");
  await page.locator(".flame canvas").waitFor();
  await page.locator(".flame").focus();
  for (let i = 0; i < 4; i++) await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  check(param(page, "zoom").split("|").length === 3, param(page, "zoom"));
  await page.keyboard.press("0");
  check(param(page, "zoom") === null, "still zoomed");
  await page.keyboard.press("Shift+Enter");
  await page.locator("h1 code").waitFor();
  return page;
});

test("callers and callees of a function add up to it", async (browser, url) => {
  const page = await open(browser);
  await go(page, url, "/flame?sandwich=_PyEval_EvalFrameDefault");
  await page.locator(".sandwich .flame").nth(1).waitFor();
  const heads = await page.locator(".sandwich h2").allTextContents();
  check(heads.length === 2 && heads[0].startsWith("Callers of"), heads.join(" / "));
  await page.waitForTimeout(300);
  await picture(page, "sandwich-light");
  return page;
});

test("filters complete names and values, and narrow what is shown", async (browser, url) => {
  const page = await open(browser);
  await go(page, url, "/top");
  const field = page.getByRole("combobox", { name: "Filter by label" });
  await field.click();
  await field.pressSequentially("reg");
  await page.getByRole("option", { name: "region" }).click();
  await page.getByRole("option", { name: "eu" }).waitFor();
  await picture(page, "filter-light");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.locator(".chip").waitFor();
  check(param(page, "q") === '{region="eu"}', param(page, "q"));
  await page.getByRole("button", { name: "Remove the filter on region" }).click();
  check(param(page, "q") === null, "the filter is still there");
  return page;
});

test("a brush over the timeline chooses a span", async (browser, url) => {
  const page = await open(browser);
  await go(page, url, "/top");
  await page.locator("tbody tr").first().waitFor();
  const box = await page.locator(".plot").boundingBox();
  await page.mouse.move(box.x + box.width * 0.6, box.y + 20);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.8, box.y + 20, { steps: 5 });
  await page.mouse.up();
  const span = Number(param(page, "to")) - Number(param(page, "from"));
  check(600 < span && span < 900, `${span} seconds of an hour`);
  return page;
});

test("rows of the top table can be labels, and lead to their flame graph", async (browser, url) => {
  const page = await open(browser);
  await go(page, url, "/top?rows=host");
  await page.getByRole("link", { name: "web-2" }).click();
  await page.locator(".flame canvas").waitFor();
  check(param(page, "q") === '{host="web-2"}', param(page, "q"));
  return page;
});

for (const [title, begins] of [
  ["SVG", "<?xml"],
  ["pprof", "\x1f\x8b"],
  ["PNG", "\x89PNG"],
]) {
  test(`what is looked at is saved as ${title}`, async (browser, url) => {
    const page = await open(browser);
    await go(page, url, "/flame");
    await page.locator(".flame canvas").waitFor();
    await page.waitForTimeout(300);
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByLabel("Export").selectOption(title)]);
    const bytes = readFileSync(await download.path(), "latin1");
    check(bytes.startsWith(begins) || (title === "SVG" && bytes.includes("<svg")), `it begins with ${JSON.stringify(bytes.slice(0, 20))}`);
    check(bytes.length > 1000, `${bytes.length} bytes`);
    return page;
  });
}

test("what cannot be asked is said, and can be asked again", async (browser, url) => {
  const page = await open(browser);
  await go(page, url, `/top?q=${encodeURIComponent('{comm=~"("}')}`);
  const text = await page.getByRole("alert").textContent();
  check(text.includes("Try again"), text);
  page.faults = [];
  return page;
});

test("nothing is asked of other hosts, and what came is kept", async (browser, url) => {
  const page = await open(browser);
  const asked = [];
  page.on("request", (request) => asked.push(request.url()));
  await go(page, url, "/flame");
  await page.locator(".flame canvas").waitFor();
  const foreign = asked.filter((each) => !each.startsWith(url) && !/^(data|blob):/.test(each));
  check(foreign.length === 0, foreign.join(", "));
  const answer = await fetch(`${url}/`, { headers: { "accept-encoding": "br" } });
  check(answer.headers.get("content-security-policy")?.includes("default-src 'none'"), "no policy");
  const again = await fetch(`${url}/`, { headers: { "if-none-match": answer.headers.get("etag") } });
  check(again.status === 304, `status ${again.status}`);
  return page;
});

test("a service with tokens asks for one, and takes no other", async (browser) => {
  const closed = await start("open sesame");
  try {
    const page = await open(browser);
    await go(page, closed.url, "/hosts");
    const field = page.locator("input[name=token]");
    await field.fill("wrong");
    await page.getByRole("button", { name: "Sign in" }).click();
    await field.waitFor();
    await field.fill("open sesame");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("No host delivered anything").waitFor();
    check((await grave(page)).length === 0, "not accessible");
    return page;
  } finally {
    await closed.stop();
  }
});

const figures = {};

test("the first view is small and soon there", async (browser, url) => {
  const page = await open(browser);
  await page.addInitScript(() => {
    window.longTasks = [];
    new PerformanceObserver((list) => window.longTasks.push(...list.getEntries().map((entry) => entry.duration))).observe({
      type: "longtask",
      buffered: true,
    });
  });
  await go(page, url, "/overview");
  await page.locator(".overview .shares li").first().waitFor();
  await page.waitForTimeout(500);
  Object.assign(
    figures,
    await page.evaluate(() => {
      const entries = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
      const files = entries.filter(({ name }) => !name.includes("/profiler.v1."));
      return {
        firstPaintMs: performance.getEntriesByName("first-contentful-paint")[0]?.startTime,
        blockingMs: window.longTasks.reduce((sum, duration) => sum + Math.max(0, duration - 50), 0),
        firstViewBytes: files.reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0),
      };
    }),
  );
  check(figures.firstViewBytes > 1000 && figures.firstViewBytes <= FIRST_VIEW_SIZE_BYTES_MAX, `${figures.firstViewBytes} bytes`);
  return page;
});

test("a flame graph of 100,000 nodes zooms within 50 ms a frame", async (browser, url) => {
  await grow(url);
  const page = await open(browser);
  await page.addInitScript(() => {
    const ask = window.requestAnimationFrame.bind(window);
    window.frameTimes = [];
    window.requestAnimationFrame = (work) =>
      ask((now) => {
        const began = performance.now();
        work(now);
        window.frameTimes.push(performance.now() - began);
      });
  });
  await go(page, url, `/flame?q=${encodeURIComponent('{host="web-9"}')}`);
  await page.locator(".flame canvas").waitFor();
  const text = await page.locator(".total").textContent();
  const nodes = Number(/in ([\d.]+)k frames/.exec(text)?.[1]) * 1000;
  check(nodes >= 99_000, text);
  await page.waitForTimeout(500);
  await page.evaluate(() => (window.frameTimes.length = 0));
  const canvas = page.locator(".flame canvas");
  for (const [x, y] of [[300, 65], [700, 85], [650, 5], [900, 65], [500, 105], [400, 5]]) {
    await canvas.click({ position: { x, y } });
    await page.waitForTimeout(350);
  }
  const box = await canvas.boundingBox();
  await page.keyboard.down("Control");
  for (let i = 0; i < 30; i++) {
    await page.mouse.move(box.x + 400 + i * 8, box.y + 100);
    await page.mouse.wheel(0, i % 10 < 6 ? -60 : 60);
    await page.waitForTimeout(20);
  }
  await page.keyboard.up("Control");
  const times = (await page.evaluate(() => window.frameTimes)).sort((a, b) => a - b);
  figures.nodes = nodes;
  figures.frames = times.length;
  figures.frameP50Ms = times[Math.floor(times.length / 2)];
  figures.frameP95Ms = times[Math.floor(times.length * 0.95)];
  figures.frameMaxMs = times.at(-1);
  check(times.length > 40, `${times.length} frames`);
  check(figures.frameP95Ms <= FRAME_MS_MAX, `95 % of the frames take ${figures.frameP95Ms.toFixed(1)} ms or less`);
  await picture(page, "forest");
  return page;
});

test("a comparison lists what changed", async (browser, url) => {
  await grow(url);
  const page = await open(browser);
  await go(page, url, "/diff?q=%7Bhost%3D%22web-9%22%7D&base=same&bq=%7Bhost%3D%22web-2%22%7D");
  await page.getByRole("button", { name: "Table" }).click();
  const first = await page.locator("tbody tr td").first().textContent();
  check(/^[+−]\d/.test(first), first);
  return page;
});

const { url, stop } = await start();
let failed = 0;
try {
  await fill(url);
  const browser = await chromium.launch({ executablePath: BROWSER, args: ARGS });
  try {
    for (const { name, run } of tests.filter((each) => !only || each.name.includes(only))) {
      try {
        const page = await run(browser, url);
        check(page.faults.length === 0, `errors in the console: ${page.faults.join("\n")}`);
        await page.context().close();
        console.log(`ok      ${name}`);
      } catch (error) {
        failed++;
        console.log(`FAILED  ${name}\n${String(error.message).replace(/^/gm, "        ")}`);
      }
    }
  } finally {
    await browser.close();
  }
} finally {
  await stop();
}
console.log(JSON.stringify(figures));
console.log(`${tests.length - failed} passed, ${failed} failed`);
process.exitCode = failed ? 1 : 0;
