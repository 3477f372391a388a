-- ARGV: how many at most, a name for this sweep, for how long in ms it has what it was given.
-- Answers with {key, member, value, others} of dead members. They are not removed yet: the answer may be lost. Nobody else
-- is given them while the claim lasts.
local left, sweep, span = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local swept = {}
redis.call('ZREMRANGEBYSCORE', lapsed, '-inf', now - KEEP)
for _, member in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', now)) do
  if left <= 0 then break end
  local claim = base .. ':claim:' .. member
  local sweeper = redis.call('GET', claim)
  -- Its own, if the same sweep is asked for again.
  if not sweeper or sweeper == sweep then
    local hash = hash_of(member)
    local before = #swept
    -- Three fields are not entries.
    local fields = redis.call('HRANDFIELD', hash, left + 3, 'WITHVALUES')
    for index = 1, #fields, 2 do
      local field = fields[index]
      if left > 0 and string.sub(field, 1, 1) == 'e' then
        local key = string.sub(field, 2)
        swept[#swept + 1] = { key, member, fields[index + 1], others(key, member) }
        left = left - 1
      end
    end
    if #swept > before then
      redis.call('SET', claim, sweep, 'PX', span)
    else
      redis.call('DEL', hash)
      redis.call('ZREM', leases, member)
      redis.call('ZADD', lapsed, now, member)
      redis.call('PEXPIRE', lapsed, KEEP)
    end
  end
end
return swept
