// What changed lately, on two versions of a program and on one that is as it was.

import { check, go, open, param } from "./browser.mjs";

export function lately(test) {
  test("what changed lately is found without being asked for, and is seen in a flame graph", async (browser, url) => {
    const page = await open(browser);
    await go(page, url, "/regressions");
    await page.getByText(/comparisons of \d+ services/).waitFor();
    for (const past of ["the build before", "yesterday"]) {
      const card = page.getByRole("region", { name: `shop against ${past}` }).first();
      const first = await card.locator("tbody tr").first().locator("td").allInnerTexts();
      check(/^\+\d/.test(first[0]) && first[4].startsWith("serialize"), `${past}: ${first.join(" | ")}`);
    }
    const same = await page.getByRole("region", { name: "Nothing changed" }).innerText();
    check(same.includes("build against yesterday"), same);
    const card = page.getByRole("region", { name: "shop against the build before" }).first();
    await card.getByRole("link", { name: "both sides as a flame graph" }).click();
    await page.locator(".flame canvas").waitFor();
    check(param(page, "q").includes('version="2"') && param(page, "bq").includes('version="1"'), page.url());
    await page.getByRole("button", { name: "Table" }).click();
    const rows = await page.locator("tbody tr").first().innerText();
    check(rows.includes("serialize"), rows);
    return page;
  });

  test("where there is no past, that is said", async (browser, url) => {
    const page = await open(browser);
    await go(page, url, `/regressions?q=${encodeURIComponent('{service="api"}')}&signal=mutex_count`);
    await page.getByText("There is nothing yet to compare").waitFor();
    return page;
  });
}
