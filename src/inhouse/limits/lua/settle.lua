-- Take more, or give back what is negative, whatever the limits say. The arithmetic is that of buckets.py.
-- KEYS: the buckets. ARGV: for each its window, the seconds in which a unit refills, and the amount.
-- Gives the time, and when each bucket is full, as one text.
local MOST_DEBT = 2

local time = redis.call('TIME')
local now = (tonumber(time[1]) - 1735689600) + tonumber(time[2]) / 1000000
local stored = redis.call('MGET', unpack(KEYS))
local answer = { string.format('%.17g', now) }
for i = 1, #KEYS do
  local window, per_unit, amount = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
  local full_at = now
  if stored[i] then
    full_at = tonumber(stored[i])
  end
  if full_at < now then
    full_at = now
  end
  full_at = full_at + amount * per_unit
  local latest = now + MOST_DEBT * window
  if full_at > latest then
    full_at = latest
  end
  if full_at > now then
    redis.call('SET', KEYS[i], string.format('%.17g', full_at), 'PX', math.ceil((full_at - now) * 1000))
  else
    redis.call('DEL', KEYS[i])
    full_at = now
  end
  answer[i + 1] = string.format('%.17g', full_at)
end
return table.concat(answer, ' ')
