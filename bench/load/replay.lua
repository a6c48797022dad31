-- Replays the requests of a file in turn (bench/load/requests.py writes it).
-- Arguments: the file. A mark of 32 "@" becomes a new random key each time.

local heads, tails, count, at = {}, {}, 0, 0
local mark = string.rep("@", 32)
local random, format = math.random, string.format

function init(args)
  local file = assert(io.open(args[1], "rb"))
  while true do
    local length = file:read("*n")
    if not length then break end
    file:read(1)
    local raw = file:read(length)
    local from, to = raw:find(mark, 1, true)
    count = count + 1
    heads[count] = from and raw:sub(1, from - 1) or raw
    tails[count] = from and raw:sub(to + 1) or false
  end
  file:close()
  assert(count > 0, "no requests in " .. args[1])
  -- Each run needs its own keys, or it would replay those of the run before.
  local seed = assert(io.open("/dev/urandom", "rb"))
  local a, b, c, d = seed:read(4):byte(1, 4)
  seed:close()
  math.randomseed(((a * 256 + b) * 256 + c) * 256 + d)
end

function request()
  at = at % count + 1
  local tail = tails[at]
  if not tail then return heads[at] end
  local key = format("%08x%08x%08x%08x", random(0, 4294967295), random(0, 4294967295),
                     random(0, 4294967295), random(0, 4294967295))
  return heads[at] .. key .. tail
end

function done(summary)
  local e = summary.errors
  io.write(format('bench {"requests":%d,"microseconds":%d,"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}\n',
                  summary.requests, summary.duration, e.connect, e.read, e.write, e.status, e.timeout))
end
