-- Sixteen different requests in one write, each with 300 short fields: little work for wrk and much for the proxy, which
-- has no plan for any of them. The summary is that of wrk.lua.
local before, after, number = "", "", 0
init = function(args)
  for i = 1, 300 do wrk.headers["X-" .. i] = "1" end
  local whole = wrk.format(nil, wrk.path .. "?n=@")
  local at = whole:find("@", 1, true)
  before, after = whole:sub(1, at - 1), whole:sub(at + 1)
end
request = function()
  local all = {}
  for i = 1, 16 do
    number = number + 1
    all[i] = before .. number .. after
  end
  return table.concat(all)
end
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '{"requests": %d, "seconds": %.6f, "bytes": %d, "p99_ms": %.3f, "connect": %d, "read": %d, "write": %d, "timeout": %d, "status": %d}\n',
    summary.requests, summary.duration / 1e6, summary.bytes, latency:percentile(99) / 1e3,
    e.connect, e.read, e.write, e.timeout, e.status))
end
