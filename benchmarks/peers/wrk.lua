-- Print wrk's exact counts as one JSON line at the end. No request or response function: they would slow wrk down.
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '{"requests": %d, "seconds": %.6f, "bytes": %d, "p99_ms": %.3f, "connect": %d, "read": %d, "write": %d, "timeout": %d, "status": %d}\n',
    summary.requests, summary.duration / 1e6, summary.bytes, latency:percentile(99) / 1e3,
    e.connect, e.read, e.write, e.timeout, e.status))
end
