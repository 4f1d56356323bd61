// Hosts: whether they deliver, how good their data is, what it costs them.

import { spanNs, useAsk } from "../api/ask";
import { type HostInfo, QueryService } from "../api/generated";
import type { ViewProps } from "../app";
import { withCondition } from "../model/selector";
import { ago, count, percent } from "../model/units";
import { linkTo, useLook } from "../state";
import { Failure, Note, QualityBadge } from "../ui/notes";

export function HostsView({ span, now, onTick }: ViewProps) {
  const look = useLook();
  const { answer, error } = useAsk(QueryService.hosts, spanNs(span));
  if (error) return <Failure error={error} onRetry={onTick} />;
  if (!answer) return <Note>Reading hosts …</Note>;
  if (answer.hosts.length === 0) return <Note>No host delivered anything in this span of time.</Note>;
  const hosts = [...answer.hosts].sort((a, b) => Number(b.isConnected) - Number(a.isConnected) || a.host.localeCompare(b.host));
  return (
    <section class="page" aria-label="Hosts">
      <div class="scroll" tabIndex={0} role="region" aria-label="Table of hosts">
        <table>
          <thead>
            <tr>
              <th scope="col">Host</th>
              <th scope="col">State</th>
              <th scope="col">Last window</th>
              <th scope="col" class="number">Windows</th>
              <th scope="col" class="number">Samples</th>
              <th scope="col" class="number">Lost</th>
              <th scope="col" class="number">Rate</th>
              <th scope="col" class="number">Sampling on</th>
              <th scope="col">Quality</th>
            </tr>
          </thead>
          <tbody>
            {hosts.map((host) => (
              <tr>
                <th scope="row">
                  <a href={linkTo({ view: "flame", q: withCondition(look.q, { name: "host", op: "=", value: host.host }) })}>
                    {host.host}
                  </a>
                </th>
                <td>
                  <span class={`dot ${host.isConnected ? "good" : "off"}`} aria-hidden="true" />
                  {host.isConnected ? "connected" : "not connected"}
                </td>
                <td>{ago(host.lastWindowNs / 1e9, now)}</td>
                <td class="number">{count(host.windows)}</td>
                <Numbers host={host} />
                <td>
                  <QualityBadge quality={host.quality} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Numbers({ host: { quality } }: { host: HostInfo }) {
  if (!quality) return <td colSpan={4} />;
  const lost = quality.lost.reduce((sum, each) => sum + each.count, 0);
  // Uploads have no rate.
  const isSampled = quality.rateAskedHz > 0;
  const taken = quality.samples + quality.idle + lost;
  return (
    <>
      <td class="number">{count(quality.samples)}</td>
      <td class="number">{percent(lost / (taken || 1))}</td>
      <td class="number">
        {isSampled ? quality.rateEffectiveHz.toFixed(1) : "–"}
        {isSampled && <span class="muted"> / {quality.rateAskedHz.toFixed(0)} Hz</span>}
      </td>
      <td class="number">{isSampled ? percent(quality.dutyCycle) : "–"}</td>
    </>
  );
}
