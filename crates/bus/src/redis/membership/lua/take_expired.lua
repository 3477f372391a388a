-- ARGV: limit, claim, lifetime of the claim in ms. Returns {key, member, value, others} for entries of
-- expired members. They stay until confirm_expired, since this answer may be lost. While the claim lasts,
-- no other call gets them.
local left, claim, lifetime = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local taken = {}
redis.call('ZREMRANGEBYSCORE', tombstones, '-inf', now - KEEP)
for _, member in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', now)) do
  if left <= 0 then break end
  local claim_key = base .. ':claim:' .. member
  local claimed_by = redis.call('GET', claim_key)
  -- The claim can be its own, if the script runs again.
  if not claimed_by or claimed_by == claim then
    local hash = hash_of(member)
    local before = #taken
    -- Four fields are not entries.
    local fields = redis.call('HRANDFIELD', hash, left + 4, 'WITHVALUES')
    for index = 1, #fields, 2 do
      local field = fields[index]
      if left > 0 and string.sub(field, 1, 1) == 'e' then
        local key = string.sub(field, 2)
        taken[#taken + 1] = { key, member, fields[index + 1], others(key, member) }
        left = left - 1
      end
    end
    if #taken > before then
      redis.call('SET', claim_key, claim, 'PX', lifetime)
    else
      redis.call('DEL', hash)
      redis.call('ZREM', leases, member)
      redis.call('ZADD', tombstones, now, member)
      redis.call('PEXPIRE', tombstones, KEEP)
    end
  end
end
return taken
