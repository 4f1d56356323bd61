// Bounds on pictures.

/** What the canvas draws at ease, and what the service gives at most. */
const NODES_MAX = 100_000;
/** The same where the screen is small, and the way often slow. */
const NODES_MAX_SMALL = 20_000;
const SMALL_PX = 640;

/** Nodes that are asked for. */
export function nodesMax(): number {
  return innerWidth < SMALL_PX ? NODES_MAX_SMALL : NODES_MAX;
}
