-- Take from all buckets or from none. The arithmetic is that of buckets.py, on the same doubles in the same order.
-- KEYS: the buckets. ARGV: for each its window, the seconds in which a unit refills, and the amount.
-- Gives 1 or 0 (admitted or not), the time, and when each bucket is full: one text, which loses no bit.
local TOLERANCE, MOST_DEBT = 1e-6, 2

local time = redis.call('TIME')
-- Counted from 2025 on, so that a double keeps the microseconds and more.
local now = (tonumber(time[1]) - 1735689600) + tonumber(time[2]) / 1000000
local stored = redis.call('MGET', unpack(KEYS))
local before, after, admitted = {}, {}, 1
for i = 1, #KEYS do
  local window, per_unit, amount = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
  local full_at = now
  if stored[i] then
    full_at = tonumber(stored[i])
  end
  if full_at < now then
    full_at = now
  end
  local latest = now + MOST_DEBT * window
  if full_at > latest then
    full_at = latest
  end
  local taken = full_at + amount * per_unit
  if taken > now + window + TOLERANCE then
    admitted = 0
  end
  before[i], after[i] = full_at, taken
end
local times = before
if admitted == 1 then
  times = after
  for i = 1, #KEYS do
    if after[i] > now then
      redis.call('SET', KEYS[i], string.format('%.17g', after[i]), 'PX', math.ceil((after[i] - now) * 1000))
    end
  end
end
local answer = { admitted, string.format('%.17g', now) }
for i = 1, #KEYS do
  answer[i + 2] = string.format('%.17g', times[i])
end
return table.concat(answer, ' ')
