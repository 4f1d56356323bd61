// Tables, findings, flame graphs and the ledger of what this very host does.

import { check, go, grave, open, param, PHONE, picture } from "./browser.mjs";
import { host, query, SELECTOR } from "./host.mjs";

const TABLES = [
  ["syscalls", { table: "syscall_counts" }],
  ["tcp", { table: "tcp_counts" }],
  ["heap", { table: "alloc" }],
  // In a minute on a busy host growth is not always sure.
  ["leaks", { table: "leaks", chance: "1" }],
];

/** The address of a view in the span that is looked at. */
function hash(view, { span }, rest = {}) {
  const query = new URLSearchParams({ from: span.from, to: span.to, q: SELECTOR, ...rest });
  return `/${view}?${query}`;
}

/** Texts of the cells of the row that begins with a text. */
async function cells(page, name) {
  const row = page.locator("tbody tr", { has: page.locator("td.name", { hasText: name }) }).first();
  await row.waitFor();
  return row.locator("td").allInnerTexts();
}

async function shown(browser, options, name, view, rest, wanted = "tbody tr") {
  const here = await host.get();
  const page = await open(browser, options);
  await go(page, here.url, hash(view, here, rest));
  await page.locator(wanted).first().waitFor();
  await page.waitForTimeout(400);
  await picture(page, name);
  return page;
}

export function tables(test) {
  for (const [name, table] of TABLES) {
    for (const colorScheme of ["light", "dark"])
      test(`the table of ${name} is shown and accessible, ${colorScheme}`, async (browser) => {
        const page = await shown(browser, { colorScheme }, `${name}-${colorScheme}`, "tables", table);
        const faults = await grave(page);
        check(faults.length === 0, faults.join("\n"));
        return page;
      });
    test(`the table of ${name} fits a phone`, async (browser) => {
      const page = await shown(browser, PHONE, `${name}-phone`, "tables", table);
      const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      check(over <= 0, `the page is ${over} pixels too wide`);
      return page;
    });
  }

  test("system calls are those of the command line, with errors and bounds", async (browser) => {
    const here = await host.get();
    const { from, to } = here.span;
    const told = await query(here, "syscalls", SELECTOR, "--from", `${from}`, "--to", `${to}`, "--top", "1000");
    const page = await shown(browser, {}, "", "tables", {});
    const { count } = await rows(page);
    check(count === told.rows_total, `${count} rows, and ${told.rows_total} on the command line`);
    const connect = told.rows.find((row) => row.call === "connect");
    const texts = await cells(page, "connect");
    check(texts.includes("gateway"), texts.join(" | "));
    check(texts.includes(connect.times.count.toLocaleString("en")), `${connect.times.count} connects: ${texts.join(" | ")}`);
    const error = `ECONNREFUSED ${connect.errors.ECONNREFUSED.toLocaleString("en")}`;
    check(texts.at(-1).includes(error), `${error}: ${texts.join(" | ")}`);
    check(texts.some((text) => /s · .*s · .*s$/.test(text)), `no bounds: ${texts.join(" | ")}`);
    return page;
  });

  test("rows of a table are searched, put in order, and apart by other labels", async (browser) => {
    const page = await shown(browser, {}, "", "tables", {});
    await page.getByLabel("Search the rows").fill("clock_nanosleep");
    const found = await page.locator("tbody tr td.name").allInnerTexts();
    check(found.length > 0 && found.every((name) => name === "clock_nanosleep"), found.join(", "));
    await page.getByLabel("Search the rows").fill("");
    await page.getByRole("button", { name: "Call", exact: true }).click();
    const names = await page.locator("tbody tr td.name").allInnerTexts();
    check(names.join() === [...names].sort((a, b) => a.localeCompare(b)).join(), names.join(", "));
    check(param(page, "order") === "call", param(page, "order"));
    await page.getByLabel("Rows apart by").selectOption("");
    // Put together, no call has two rows.
    await page.waitForFunction(() => {
      const merged = [...document.querySelectorAll("tbody tr td.name")].map((cell) => cell.innerText);
      return merged.length > 0 && new Set(merged).size === merged.length;
    });
    return page;
  });

  test("connections that are refused, queued and slow are told apart", async (browser) => {
    const page = await shown(browser, {}, "", "tables", { table: "tcp_counts" });
    const heads = (await page.locator("thead th").allInnerTexts()).map((text) => text.split("\n")[0].trim());
    const all = await page.locator("tbody tr").evaluateAll((rows) => rows.map((row) => [...row.cells].map((cell) => cell.innerText)));
    const some = (title) => all.filter((row) => row[heads.indexOf(title)] !== "–");
    for (const title of ["Connects", "Failed", "To connect", "In the accept queue", "To the first byte", "Round trip"])
      check(some(title).length > 0, `nothing in ${title}: ${heads.join(" | ")}`);
    check(some("Failed").every((row) => /^\d+ refused$/.test(row[heads.indexOf("Failed")])), "something failed otherwise");
    await page.getByLabel("Search the rows").fill("server :");
    await page.waitForFunction(() => [...document.querySelectorAll("tbody tr")].every((row) => row.cells[1].innerText.startsWith("server")));
    return page;
  });

  test("a leak is told with its growth, its place and its callers", async (browser) => {
    const page = await shown(browser, {}, "", "tables", { table: "leaks", chance: "1" });
    const texts = await cells(page, "remember");
    check(texts[0].includes("sick.c:") && texts[0].includes("← leak_suspect"), texts[0]);
    check(/^\d.*B\n\d.*B … \d.*B$/.test(texts[2]), `growth: ${texts[2]}`);
    await page.getByLabel("also what may be chance").uncheck();
    check(param(page, "chance") === null, "still in the address");
    await page.getByRole("button", { name: "Heap" }).click();
    const heap = await cells(page, "remember");
    check(/[MK]iB/.test(heap[2]) && / (s|min)$/.test(heap.at(-1)), heap.join(" | "));
    await page.getByRole("link", { name: "remember" }).first().click();
    await page.getByRole("row", { name: /bytes allocated|allocated/i }).first().waitFor();
    return page;
  });

  for (const [signal, kind, name] of [["alloc", "alloc_space", "remember"], ["page_fault", "faults", "remember"]])
    test(`${signal} is offered as a signal, with its timeline and its flame graph`, async (browser) => {
      const page = await shown(browser, {}, "", "flame", {}, ".flame canvas");
      await page.getByLabel("Signal").selectOption(signal);
      await page.getByLabel("Value").selectOption(kind);
      await page.locator(".total", { hasText: kind }).waitFor();
      await page.locator(".plot .line").waitFor();
      await page.getByLabel("Search functions, files and modules").fill(name);
      const text = await page.locator(".matched").textContent();
      check(/^\d.*% in \d+ frames$/.test(text), text);
      await picture(page, `flame-${signal}`);
      return page;
    });

  for (const [fn, wanted, signal] of [
    ["remember", ["bytes allocated", "objects allocated", "bytes kept"], "Allocations"],
    ["malloc", ["CPU with all it calls", "page faults"], "Page faults"],
  ])
    test(`the ledger of ${fn} tells of ${wanted[0]} and more`, async (browser) => {
      const page = await shown(browser, {}, `function-${fn}-light`, "function", { fn }, ".ledger tbody tr");
      const names = await page.locator(".ledger th[scope=row]").allInnerTexts();
      check(wanted.every((name) => names.includes(name)), names.join(" | "));
      const heads = await page.locator(".signal h2").allInnerTexts();
      check(heads.some((head) => head.includes(signal)), heads.join(" | "));
      return page;
    });

  test("findings of this host are shown, and lead to where they are seen", async (browser) => {
    const page = await shown(browser, {}, "overview-live-light", "overview", {}, ".findings li");
    const faults = await grave(page);
    check(faults.length === 0, faults.join("\n"));
    await page.locator(".findings li", { hasText: "lock convoy" }).getByRole("link").first().click();
    await page.locator(".flame canvas").waitFor();
    check(param(page, "signal") === "offcpu", page.url());
    return page;
  });

  test("a table that nobody recorded says how to record it", async (browser, url) => {
    const page = await open(browser);
    await go(page, url, "/tables?table=tcp_counts");
    const note = page.locator("main .note", { hasText: "no host recorded" });
    const text = await note.innerText();
    check(text.includes("profiler up") && text.includes("-e cpu,tcp"), text);
    return page;
  });
}

/** How many rows a table says it has. */
async function rows(page) {
  const text = await page.locator(".table-head").innerText();
  return { count: Number(/([\d,]+) rows/.exec(text)[1].replace(",", "")) };
}
