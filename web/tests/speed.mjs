// How quick the page is, and how small. The figures are those of docs/benchmarks.md.

import { check, go, open, picture } from "./browser.mjs";
import { grow } from "./service.mjs";

/** Most bytes of the first view on the wire. */
const FIRST_VIEW_SIZE_BYTES_MAX = 200 * 1024;
/** Longest frame while a flame graph of 100,000 nodes is zoomed. */
const FRAME_MS_MAX = 50;

export const figures = {};

export function speed(test) {
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
}
