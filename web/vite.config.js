// How the page is built. The result goes to dist/page, from where the Rust build takes it.

import { defineConfig } from "vite";

// Where a running service is, for `npm run dev`.
const service = process.env.PROFILER_URL ?? "http://127.0.0.1:7317";

export default defineConfig({
  esbuild: { jsx: "automatic", jsxImportSource: "preact", legalComments: "none" },
  build: {
    outDir: "dist/page",
    emptyOutDir: true,
    target: "es2022",
    // The policy of the page allows no inlined files but pictures.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: {
      "^/profiler\\.v1\\..*": { target: service, changeOrigin: true },
      "/healthz": { target: service },
    },
  },
});
