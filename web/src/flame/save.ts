// Files of what is looked at: as the service makes them, and the picture as it is on the screen.

import { stream } from "../api/grpc";
import { ExportFormat, QueryService, type Selection } from "../api/generated";

const FILES: [string, ExportFormat, string, string][] = [
  ["SVG", ExportFormat.SVG, "svg", "image/svg+xml"],
  ["pprof", ExportFormat.PPROF, "pb.gz", "application/gzip"],
  ["Collapsed", ExportFormat.COLLAPSED, "txt", "text/plain"],
  ["speedscope", ExportFormat.SPEEDSCOPE, "speedscope.json", "application/json"],
  ["JSON", ExportFormat.JSON, "json", "application/json"],
];

/** What the service can make: a title each. */
export const TITLES = FILES.map(([title]) => title);

/** How long the address of a file is kept for the browser to fetch it. */
const KEEP_MS = 60_000;

function hand(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), KEEP_MS);
}

/** Asks the service for a file and hands it over. */
export async function saveFile(title: string, selection: Selection): Promise<void> {
  const [, format, ending, type] = FILES.find(([each]) => each === title)!;
  const chunks: BlobPart[] = [];
  for await (const part of stream(QueryService.export, { selection, format })) chunks.push(part.chunk as BlobPart);
  hand(new Blob(chunks, { type }), `profile.${ending}`);
}

/** The picture as it is on the screen. */
export function savePicture(canvas: HTMLCanvasElement, background: string): void {
  const copy = document.createElement("canvas");
  copy.width = canvas.width;
  copy.height = canvas.height;
  const context = copy.getContext("2d")!;
  context.fillStyle = background;
  context.fillRect(0, 0, copy.width, copy.height);
  context.drawImage(canvas, 0, 0);
  copy.toBlob((blob) => blob && hand(blob, "profile.png"), "image/png");
}
