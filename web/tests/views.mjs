// Every view on recordings that are uploaded: what it shows, and how one gets around in it.

import { readFileSync } from "node:fs";
import { check, go, grave, open, param, picture, shown } from "./browser.mjs";
import { grow, start } from "./service.mjs";

const VIEWS = [
  ["overview", "/overview", ".overview .shares li"],
  ["flame", "/flame?by=comm", ".flame canvas"],
  ["top", "/top", "tbody tr"],
  ["compare", "/diff?q=%7Bhost%3D%22web-1%22%7D&base=same&bq=%7Bhost%3D%22web-2%22%7D", ".flame canvas"],
  ["function", "/function?fn=_PyEval_EvalFrameDefault", ".signal"],
  ["regressions", "/regressions", ".signal tbody tr"],
  ["alerts", "/alerts", "main"],
  ["hosts", "/hosts", "tbody tr"],
];

export function views(test) {
  for (const [name, hash, wanted] of VIEWS) shown(test, name, () => hash, wanted);

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

  test("a comparison lists what changed", async (browser, url) => {
    await grow(url);
    const page = await open(browser);
    await go(page, url, "/diff?q=%7Bhost%3D%22web-9%22%7D&base=same&bq=%7Bhost%3D%22web-2%22%7D");
    await page.getByRole("button", { name: "Table" }).click();
    const first = await page.locator("tbody tr td").first().textContent();
    check(/^[+−]\d/.test(first), first);
    return page;
  });
}
