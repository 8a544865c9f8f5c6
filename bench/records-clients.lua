-- For wrk: asks for the paths in turns, and prints what the clients met as JSON.
local requests, asked = {}, 0

function init(paths)
  for i = 1, #paths do requests[i] = wrk.format("GET", paths[i]) end
end

function request()
  asked = asked + 1
  return requests[(asked - 1) % #requests + 1]
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format('{"done":%d,"rate":%f,"errors":%d,"p50":%f,"p99":%f}\n',
    summary.requests, summary.requests / summary.duration * 1e6, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
