// Packs each file of the built page twice, by gzip and by Brotli, and says what the first view weighs.

import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const page = join(dirname(fileURLToPath(import.meta.url)), "../dist/page");

/** Most bytes of the first view, packed by Brotli. */
const FIRST_VIEW_SIZE_BYTES_MAX = 60 * 1024;

function files(folder) {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? files(path) : [path];
  });
}

function brotli(bytes) {
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: 11,
    [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
  };
  return brotliCompressSync(bytes, { params });
}

const index = readFileSync(join(page, "index.html"), "utf8");
let total = 0;
let first = 0;
for (const path of files(page).filter((name) => !/\.(gz|br)$/.test(name))) {
  const bytes = readFileSync(path);
  const packed = brotli(bytes);
  writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }));
  writeFileSync(`${path}.br`, packed);
  total += packed.length;
  const name = path.slice(page.length + 1);
  if (name === "index.html" || index.includes(name)) first += packed.length;
}
console.log(`page: ${first} bytes to the first view, ${total} in all, packed by Brotli`);
if (FIRST_VIEW_SIZE_BYTES_MAX < first) {
  throw new Error(`the first view weighs ${first} bytes, at most ${FIRST_VIEW_SIZE_BYTES_MAX}`);
}
