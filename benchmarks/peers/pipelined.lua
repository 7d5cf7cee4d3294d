-- Sixteen requests in one write: little work for wrk, much for the proxy. Ends as wrk.lua does.
init = function(args)
  local all = {}
  for i = 1, 16 do all[i] = wrk.format() end
  pipelined = table.concat(all)
end
request = function() return pipelined end
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '{"requests": %d, "seconds": %.6f, "bytes": %d, "p99_ms": %.3f, "connect": %d, "read": %d, "write": %d, "timeout": %d, "status": %d}\n',
    summary.requests, summary.duration / 1e6, summary.bytes, latency:percentile(99) / 1e3,
    e.connect, e.read, e.write, e.timeout, e.status))
end
